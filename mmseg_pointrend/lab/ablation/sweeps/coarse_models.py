"""Segmentors with and without PointRend: Tables 6, 7 and 8."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.apis.configs import load_config, shipped_config
from mmseg_pointrend.lab.ablation.sweeps.sweep import (
    AS_CONFIGURED,
    Sweep,
    Training,
    UnknownBaselineError,
)
from mmseg_pointrend.lab.ablation.tasks import SEMANTIC


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
    _sem_fpn("fpn-r18-small-p3p5", "r18-small_1xb4-1k_calm-scenes-128x256"),
    _deeplabv3("deeplabv3-lite0-d16", "efficientnet-lite0", "1xb2-500_camvid-360x480"),
    _sem_fpn("fpn-lite0-p2p5", "efficientnet-lite0_1xb2-500_camvid-360x480"),
    _sem_fpn("fpn-lite0-p3p5", "efficientnet-lite0-p3p5_1xb2-500_camvid-360x480"),
    _sem_fpn("fpn-lite0-p3p5", "efficientnet-lite0-p3p5_1xb4-500_horses-256x256"),
    _sem_fpn(
        "fpn-lite0-p3p5-two-logits", "efficientnet-lite0-p3p5-two-logits_1xb4-500_horses-256x256"
    ),
    _deeplabv3("deeplabv3-r103-d16", "r103", "4xb4-90k_cityscapes-768x768"),
    _sem_fpn("fpn-r50-p2p5", "r50_4xb2-80k_cityscapes-512x1024"),
    _sem_fpn("fpn-r101-p2p5", "r101_4xb2-80k_cityscapes-512x1024"),
    _sem_fpn("fpn-r101-p3p5", "r101-p3p5_4xb2-80k_cityscapes-512x1024"),
    _sem_fpn("fpn-r50-p2p5", "r50_4xb4-160k_ade20k-512x512"),
    _sem_fpn("fpn-r101-p2p5", "r101_4xb4-160k_ade20k-512x512"),
)


def coarse_heads(_: Config, path: Path) -> Sweep:
    """Compare every pair of the data set of a config."""
    data = find_pair(path).data
    trainings = []
    for pair in COARSE_PAIRS:
        if pair.data == data:
            trainings += _with_and_without(pair, path)
    return Sweep("Coarse models with and without PointRend", "Tables 6 and 7", tuple(trainings))


def boundary_widths(_: Config, path: Path) -> Sweep:
    """Compare the pair of a config at several distances to boundaries."""
    trainings = _with_and_without(find_pair(path), path)
    return Sweep("Mean IoU near boundaries", "Table 8", tuple(trainings), over_widths=True)


def find_pair(path: Path) -> CoarsePair:
    """Find the pair of a config with PointRend.

    Raises:
        UnknownBaselineError: if there is none.
    """
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
    variants = {f"{rendered}_coarse-map": {f"{SEMANTIC.head}.subdivision.steps": 0}, rendered: {}}
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
