"""What a sweep is: trainings, and the variants that their models are tested as."""

from dataclasses import dataclass, field
from pathlib import Path

#: The training of the config as it is, which the sweeps have in common.
AS_CONFIGURED = "as-configured"


class UnfitConfigError(ValueError):
    """A sweep does not take a config, which others take."""


class UnknownBaselineError(UnfitConfigError):
    """A sweep needs a config's baseline, and none is known."""


@dataclass(frozen=True)
class Training:
    """One model, and the variants that it is tested as.

    Attributes:
        name: also the name of its folder, the same in every sweep that needs this model.
        variants: name of the variant -> options of the test run.
        options: options of the training, also given to its tests.
        config: the config file, if it is not the sweep's.
    """

    name: str
    variants: dict[str, dict]
    options: dict = field(default_factory=dict)
    config: Path | None = None


@dataclass(frozen=True)
class Sweep:
    """What is compared.

    Attributes:
        title: of the plot.
        source: where the comparison comes from.
        trainings: the models; no two variants have the same name.
        over_widths: whether the plot shows how results change with the distance to a boundary.
    """

    title: str
    source: str
    trainings: tuple[Training, ...]
    over_widths: bool = False
