"""The sweeps: which variants of a config the paper's tables and its users' notes compare.

A variant is what is tested; several may share a training. Each sweep is made for a config, because
some of its values depend on the config's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.apis.configs import load_config, shipped_config
from mmseg_pointrend.core import MARGINS, TRAINING_STRATEGIES

HEAD = "model.decode_head"
#: Trimap widths in pixels that every sweep reports, unless the config has its own.
WIDTHS = (2, 4, 8)
#: Those of Table 8 (8 and 20), and narrower ones.
TABLE_8_WIDTHS = (1, 2, 4, 8, 12, 20)
#: N as shares of the pixels, a factor of 4 apart as in Table 3; 1/256 is the rule of sec. 5.
POINT_SHARES = (1024, 256, 64, 16)
DEPTHS = (0, 1, 2, 3, 4)
CHANNELS = (64, 128, 256)


@dataclass(frozen=True)
class Training:
    """One model, and the variants that it is tested as.

    Attributes:
        name: also the name of its folder.
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
        widths: trimap widths in pixels; None for those of the config, or `WIDTHS`.
    """

    title: str
    source: str
    trainings: tuple[Training, ...]
    widths: tuple[int, ...] | None = None


@dataclass(frozen=True)
class CoarsePair:
    """A coarse model's config, and that of the same model with PointRend, below `configs/`."""

    name: str
    baseline: str
    pointrend: str

    @property
    def data(self) -> str:
        """The data set and crop size, which a config's name ends in."""
        return Path(self.pointrend).stem.rpartition("_")[2]


def _sem_fpn(name: str, rest: str) -> CoarsePair:
    return CoarsePair(name, f"sem_fpn/fpn_{rest}.py", f"pointrend/pointrend_{rest}.py")


#: Tables 6 and 7: a coarse model more is a line more.
COARSE_PAIRS = (
    _sem_fpn("fpn-r18-small", "r18-small_1xb4-1k_demo-scenes-128x256"),
    _sem_fpn("fpn-r50", "r50_4xb2-80k_cityscapes-512x1024"),
    _sem_fpn("fpn-r101", "r101_4xb2-80k_cityscapes-512x1024"),
    _sem_fpn("fpn-r50", "r50_4xb4-160k_ade20k-512x512"),
    _sem_fpn("fpn-r101", "r101_4xb4-160k_ade20k-512x512"),
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
    head = config.model.get("decode_head")
    if not isinstance(head, dict) or not {"point_head", "subdivision"} <= head.keys():
        raise ValueError(f"config {config_path} must have a PointRend model with a subdivision")
    return SWEEPS[name](config, Path(config_path))


def _strategies(config: Config, _: Path) -> Sweep:
    # Numbers of the config would contradict the names.
    points = config.model.decode_head.get("training_points") or {}
    cleared = {
        f"{HEAD}.training_points.{key}": None
        for key in ("oversample_ratio", "importance_sample_ratio")
        if key in points
    }
    return Sweep(
        "Training points",
        "Table 4",
        tuple(
            Training(name, {name: {}}, cleared | {f"{HEAD}.training_points.strategy": name})
            for name in TRAINING_STRATEGIES
        ),
    )


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
        (Training("as-configured", variants),),
    )


def _coarse_heads(_: Config, path: Path) -> Sweep:
    data = _find_pair(path).data
    trainings = []
    for pair in COARSE_PAIRS:
        if pair.data == data:
            trainings += _with_and_without(pair)
    return Sweep("Coarse models with and without PointRend", "Tables 6 and 7", tuple(trainings))


def _boundary_widths(_: Config, path: Path) -> Sweep:
    trainings = _with_and_without(_find_pair(path))
    return Sweep("Mean IoU near boundaries", "Table 8", tuple(trainings), TABLE_8_WIDTHS)


def _find_pair(path: Path) -> CoarsePair:
    for pair in COARSE_PAIRS:
        if path.resolve() == shipped_config(pair.pointrend).resolve():
            return pair
    known = ", ".join(pair.pointrend for pair in COARSE_PAIRS)
    raise ValueError(
        f"config {path} has no known baseline; this sweep takes {known}, or a pair more in "
        "COARSE_PAIRS"
    )


def _with_and_without(pair: CoarsePair) -> list[Training]:
    rendered = f"{pair.name}_pointrend"
    return [
        Training(pair.name, {pair.name: {}}, config=shipped_config(pair.baseline)),
        Training(
            rendered,
            {f"{rendered}_coarse-map": {f"{HEAD}.subdivision.steps": 0}, rendered: {}},
            config=shipped_config(pair.pointrend),
        ),
    ]


def _point_head(config: Config, _: Path) -> Sweep:
    head = config.model.decode_head
    point_head = head.point_head
    # Where the config is silent, PointMLP's defaults; a variant equal to the config is left out.
    depth, channels = point_head.get("num_fcs", 3), point_head.get("channels", 256)
    activation = (point_head.get("act_cfg", dict(type="ReLU")) or dict(type="none"))["type"]
    each_layer = point_head.get("coarse_pred_each_layer", True)
    at_fine = head.get("coarse_at_fine", False)
    key = f"{HEAD}.point_head"
    changes = {f"depth-{number}": {f"{key}.num_fcs": number} for number in DEPTHS}
    changes |= {f"width-{number}": {f"{key}.channels": number} for number in CHANNELS}
    changes |= {name.lower(): {f"{key}.act_cfg": dict(type=name)} for name in ("ReLU", "ELU")}
    changes |= {
        "coarse-at-fine": {f"{HEAD}.coarse_at_fine": True},
        "coarse-at-its-own-size": {f"{HEAD}.coarse_at_fine": False},
        "coarse-to-each-layer": {f"{key}.coarse_pred_each_layer": True},
        "coarse-to-first-layer": {f"{key}.coarse_pred_each_layer": False},
    }
    same = {
        f"depth-{depth}",
        f"width-{channels}",
        activation.lower(),
        "coarse-at-fine" if at_fine else "coarse-at-its-own-size",
        "coarse-to-each-layer" if each_layer else "coarse-to-first-layer",
    }
    name = f"as-configured_depth-{depth}_width-{channels}_{activation.lower()}"
    trainings = [Training(name, {name: {}})]
    trainings += [
        Training(name, {name: {}}, options) for name, options in changes.items() if name not in same
    ]
    return Sweep(
        "Depth, width, activation and coarse input of the point head",
        "sec. 4.2, and notes from practice",
        tuple(trainings),
    )


def _uncertainty(_: Config, __: Path) -> Sweep:
    return Sweep(
        "Uncertainty: margin of the probabilities or of the logits",
        "sec. 5",
        tuple(
            Training(
                f"train-{train}",
                {f"train-{train}_test-{test}": {f"{HEAD}.uncertainty": test} for test in MARGINS},
                {f"{HEAD}.uncertainty": train},
            )
            for train in MARGINS
        ),
    )


SWEEPS: dict[str, Callable[[Config, Path], Sweep]] = {
    "strategies": _strategies,
    "resolution-and-points": _resolution_and_points,
    "coarse-heads": _coarse_heads,
    "boundary-widths": _boundary_widths,
    "point-head": _point_head,
    "uncertainty": _uncertainty,
}
