"""The sweeps: which variants of a config the paper's tables and its users' notes compare.

A variant is what is tested; several may share a training, also those of several sweeps: a variant
that is what the config says already is a test of the training `AS_CONFIGURED`. Each sweep is made
for a config, because some of its values depend on the config's.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.apis.configs import is_pointrend, load_config, shipped_config
from mmseg_pointrend.apis.tasks import refuse_instances
from mmseg_pointrend.core import MARGINS, TRAINING_STRATEGIES, TrainingPoints
from mmseg_pointrend.lab.defaults import default_of

HEAD = "model.decode_head"
#: The training of the config as it is, which the sweeps have in common.
AS_CONFIGURED = "as-configured"
#: N as shares of the pixels, a factor of 4 apart as in Table 3; 1/256 is the rule of sec. 5.
POINT_SHARES = (1024, 256, 64, 16)
DEPTHS = (0, 1, 3, 5)
CHANNELS = (64, 256)


class UnknownBaselineError(ValueError):
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


@dataclass(frozen=True)
class CoarsePair:
    """A coarse model's config, and that of the same model with PointRend, below `configs/`.

    Attributes:
        name: of the coarse model.
        baseline: its config.
        pointrend: that with PointRend.
        denser: config of the coarse model with a smaller output stride, for tests of the baseline's
            weights (Table 6).
    """

    name: str
    baseline: str
    pointrend: str
    denser: str | None = None

    @property
    def data(self) -> str:
        """The data set, which a config's name ends in, before the crop size."""
        return Path(self.pointrend).stem.rpartition("_")[2].rpartition("-")[0]


def _sem_fpn(name: str, rest: str) -> CoarsePair:
    return CoarsePair(name, f"sem_fpn/fpn_{rest}.py", f"pointrend/pointrend_{rest}.py")


def _deeplabv3(name: str, backbone: str, rest: str) -> CoarsePair:
    return CoarsePair(
        name,
        f"deeplabv3/deeplabv3_{backbone}-d16_{rest}.py",
        f"pointrend/pointrend-deeplabv3_{backbone}-d16_{rest}.py",
        denser=f"deeplabv3/deeplabv3_{backbone}-d8_{rest}.py",
    )


#: Tables 6 and 7: a coarse model more is a line more.
COARSE_PAIRS = (
    _deeplabv3("deeplabv3-r18-small-d16", "r18-small", "1xb4-1k_demo-scenes-128x256"),
    _sem_fpn("fpn-r18-small-p2p5", "r18-small-p2p5_1xb4-1k_demo-scenes-128x256"),
    _sem_fpn("fpn-r18-small-p3p5", "r18-small_1xb4-1k_demo-scenes-128x256"),
    _deeplabv3("deeplabv3-r103-d16", "r103", "4xb4-90k_cityscapes-768x768"),
    _sem_fpn("fpn-r50-p2p5", "r50_4xb2-80k_cityscapes-512x1024"),
    _sem_fpn("fpn-r101-p2p5", "r101_4xb2-80k_cityscapes-512x1024"),
    _sem_fpn("fpn-r101-p3p5", "r101-p3p5_4xb2-80k_cityscapes-512x1024"),
    _sem_fpn("fpn-r50-p2p5", "r50_4xb4-160k_ade20k-512x512"),
    _sem_fpn("fpn-r101-p2p5", "r101_4xb4-160k_ade20k-512x512"),
)


def build_sweep(name: str, config_path: str | Path, options: dict | None = None) -> Sweep:
    """Make a sweep for a config.

    Args:
        name: a key of `SWEEPS`.
        config_path: config file of a PointRend model.
        options: dotted config keys and values that override the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for an unknown sweep, a model without PointRend, or a config without a known
            baseline where the sweep needs one.
    """
    if name not in SWEEPS:
        raise ValueError(f"sweep must be one of {list(SWEEPS)}, got {name!r}")
    config = load_config(config_path, options)
    refuse_instances(config, "ablate")
    if not is_pointrend(config.model) or "steps" not in (
        config.model.decode_head.get("subdivision") or ()
    ):
        raise ValueError(
            f"config {config_path} must have a PointRend model (decode_head.point_head) with a "
            "number of steps (decode_head.subdivision.steps)"
        )
    return SWEEPS[name](config, Path(config_path))


def fitting_sweeps(config_path: str | Path, options: dict | None = None) -> list[str]:
    """List the sweeps that a config can take: those of baselines need one that is known.

    Args:
        config_path: config file of a PointRend model.
        options: dotted config keys and values that override the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a model without PointRend.
    """
    fitting = []
    for name in SWEEPS:
        with contextlib.suppress(UnknownBaselineError):
            build_sweep(name, config_path, options)
            fitting.append(name)
    return fitting


def _strategies(config: Config, _: Path) -> Sweep:
    # Numbers of the config would contradict the names.
    points = config.model.decode_head.get("training_points") or {}
    numbers = ("strategy", "oversample_ratio", "importance_sample_ratio")
    own = TrainingPoints(**{key: points.get(key) for key in numbers}).bias
    cleared = {f"{HEAD}.training_points.{key}": None for key in numbers[1:] if key in points}
    trainings = []
    for name, bias in TRAINING_STRATEGIES.items():
        if bias == own:
            trainings.append(Training(AS_CONFIGURED, {name: {}}))
        else:
            options = cleared | {f"{HEAD}.training_points.strategy": name}
            trainings.append(Training(f"strategy_{name}", {name: {}}, options))
    return Sweep("Training points", "Table 4", tuple(trainings))


def _resolution_and_points(config: Config, _: Path) -> Sweep:
    steps = config.model.decode_head.subdivision.steps
    variants = {f"steps-{number}": {f"{HEAD}.subdivision.steps": number} for number in range(steps)}
    variants[f"steps-{steps}"] = {}
    for share in POINT_SHARES:
        name = f"steps-{steps}_points-1-of-{share}"
        variants[name] = {f"{HEAD}.subdivision.num_points": 1 / share}
    return Sweep(
        "Output resolution and points per subdivision step",
        "Table 3",
        (Training(AS_CONFIGURED, variants),),
    )


def _coarse_heads(_: Config, path: Path) -> Sweep:
    data = _find_pair(path).data
    trainings = []
    for pair in COARSE_PAIRS:
        if pair.data == data:
            trainings += _with_and_without(pair, path)
    return Sweep("Coarse models with and without PointRend", "Tables 6 and 7", tuple(trainings))


def _boundary_widths(_: Config, path: Path) -> Sweep:
    trainings = _with_and_without(_find_pair(path), path)
    return Sweep("Mean IoU near boundaries", "Table 8", tuple(trainings), over_widths=True)


def _find_pair(path: Path) -> CoarsePair:
    for pair in COARSE_PAIRS:
        if _is_shipped(path, pair.pointrend):
            return pair
    known = ", ".join(pair.pointrend for pair in COARSE_PAIRS)
    raise UnknownBaselineError(
        f"config {path} has no known baseline; this sweep takes {known}, or a pair more in "
        "COARSE_PAIRS"
    )


def _is_shipped(path: Path, name: str) -> bool:
    return path.resolve() == shipped_config(name).resolve()


def _with_and_without(pair: CoarsePair, path: Path) -> list[Training]:
    """List the trainings of a pair; `path` is the sweep's config."""
    baseline = shipped_config(pair.baseline)
    tests = {pair.name: {}}
    if pair.denser is not None:
        # The part that names the stride takes the other's value.
        stride = Path(pair.denser).stem.split("_")[1].rpartition("-")[2]
        name = f"{pair.name.rpartition('-')[0]}-{stride}"
        denser = load_config(shipped_config(pair.denser)).model
        tests[name] = _differences(load_config(baseline).model, denser, "model.")
    rendered = f"{pair.name}_pointrend"
    variants = {f"{rendered}_coarse-map": {f"{HEAD}.subdivision.steps": 0}, rendered: {}}
    with_pointrend = Training(rendered, variants, config=shipped_config(pair.pointrend))
    if _is_shipped(path, pair.pointrend):
        with_pointrend = Training(AS_CONFIGURED, variants)
    return [Training(pair.name, tests, config=baseline), with_pointrend]


def _differences(found: Config, other: Config, prefix: str) -> dict:
    """List the dotted keys, and the other's values, in which two parts of configs differ."""
    changed = {}
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            changed |= _differences(found[key], value, f"{prefix}{key}.")
        elif found.get(key) != value:
            changed[prefix + key] = value
    return changed


def _point_head(config: Config, _: Path) -> Sweep:
    head = config.model.decode_head
    point_head = head.point_head
    # Where the config is silent, the classes' defaults; a variant equal to the config is left out.
    depth, channels, act_cfg = (
        point_head.get(name, default_of("PointMLP", name))
        for name in ("num_fcs", "channels", "act_cfg")
    )
    activation = (act_cfg or dict(type="none"))["type"]
    at_fine = head.get("coarse_at_fine", default_of("PointRendHead", "coarse_at_fine"))
    key = f"{HEAD}.point_head"
    changes = {f"depth-{number}": {f"{key}.num_fcs": number} for number in DEPTHS}
    changes |= {f"width-{number}": {f"{key}.channels": number} for number in CHANNELS}
    changes |= {name.lower(): {f"{key}.act_cfg": dict(type=name)} for name in ("ReLU", "ELU")}
    changes |= {
        "coarse-at-fine": {f"{HEAD}.coarse_at_fine": True},
        "coarse-at-its-own-size": {f"{HEAD}.coarse_at_fine": False},
    }
    same = {
        f"depth-{depth}",
        f"width-{channels}",
        activation.lower(),
        "coarse-at-fine" if at_fine else "coarse-at-its-own-size",
    }
    name = f"as-configured_depth-{depth}_width-{channels}_{activation.lower()}"
    trainings = [Training(AS_CONFIGURED, {name: {}})]
    trainings += [
        Training(f"point-head_{name}", {name: {}}, options)
        for name, options in changes.items()
        if name not in same
    ]
    return Sweep(
        "Depth, width, activation and coarse input of the point head",
        "sec. 4.2, and notes from practice",
        tuple(trainings),
    )


def _uncertainty(config: Config, _: Path) -> Sweep:
    key = f"{HEAD}.uncertainty"
    own = config.model.decode_head.get("uncertainty", default_of("PointRendHead", "uncertainty"))
    trainings = []
    for train in MARGINS:
        name, options = f"uncertainty_{train}", {key: train}
        if train == own:
            name, options = AS_CONFIGURED, {}
        variants = {
            f"train-{train}_test-{test}": {} if test == train else {key: test} for test in MARGINS
        }
        trainings.append(Training(name, variants, options))
    return Sweep(
        "Uncertainty: margin of the probabilities or of the logits", "sec. 5", tuple(trainings)
    )


SWEEPS: dict[str, Callable[[Config, Path], Sweep]] = {
    "strategies": _strategies,
    "resolution-and-points": _resolution_and_points,
    "coarse-heads": _coarse_heads,
    "boundary-widths": _boundary_widths,
    "point-head": _point_head,
    "uncertainty": _uncertainty,
}
