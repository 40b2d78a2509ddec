"""Detectors with and without PointRend: Tables 1 and 5."""

from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.apis.configs import load_config, shipped_config
from mmseg_pointrend.lab.ablation.sweeps.head_settings import first_mask
from mmseg_pointrend.lab.ablation.sweeps.sweep import (
    AS_CONFIGURED,
    Sweep,
    Training,
    UnknownBaselineError,
)
from mmseg_pointrend.lab.ablation.tasks import INSTANCE

#: What the name of a config with PointRend begins with; the rest is the name of its baseline.
_PREFIX = "pointrend-"
#: Table 5, and before it what its models are larger than; all on COCO.
LARGER_MODELS = tuple(
    f"mask_rcnn/{_PREFIX}{name}_coco.py"
    for name in (
        "mask-rcnn_r50-caffe_fpn_ms-1x",
        "mask-rcnn_r50-caffe_fpn_ms-3x",
        "mask-rcnn_r101-caffe_fpn_ms-3x",
        "mask-rcnn_x101-32x8d_fpn_ms-3x",
    )
)


def mask_heads(_: Config, path: Path) -> Sweep:
    """Compare a detector's mask head with PointRend, and PointRend's own first masks."""
    trainings = _with_and_without(path, path)
    return Sweep("Mask heads with and without PointRend", "Table 1", tuple(trainings))


def larger_models(_: Config, path: Path) -> Sweep:
    """Compare the mask heads of larger models and longer schedules."""
    shipped = [shipped_config(name) for name in LARGER_MODELS]
    if path.resolve() not in [one.resolve() for one in shipped]:
        raise UnknownBaselineError(
            f"config {path} is none of the models that are compared; this sweep takes "
            f"{', '.join(LARGER_MODELS)}"
        )
    trainings = [training for one in shipped for training in _with_and_without(one, path)]
    return Sweep("Larger models and longer schedules", "Table 5", tuple(trainings))


def find_baseline(path: Path) -> Path:
    """Find the config of the same detector without PointRend: `NAME.py` beside `pointrend-NAME.py`.

    Raises:
        UnknownBaselineError: if there is none.
    """
    baseline = path.with_name(path.name.removeprefix(_PREFIX))
    if baseline == path or not baseline.is_file():
        raise UnknownBaselineError(
            f"config {path} has no known baseline; this sweep compares a config "
            f"{_PREFIX}NAME.py with NAME.py beside it"
        )
    return baseline


def _with_and_without(pointrend: Path, path: Path) -> list[Training]:
    """List the trainings of a config and its baseline; `path` is the sweep's config."""
    baseline = find_baseline(pointrend)
    # Without the data set.
    name = baseline.stem.rpartition("_")[0] or baseline.stem
    rendered, steps = f"{name}_pointrend", f"{INSTANCE.head}.subdivision.steps"
    first = first_mask(INSTANCE.head_of(load_config(pointrend)))
    variants = {f"{rendered}_coarse-masks": {steps: first}, rendered: {}}
    with_pointrend = Training(rendered, variants, config=pointrend)
    if pointrend.resolve() == path.resolve():
        with_pointrend = Training(AS_CONFIGURED, variants)
    return [Training(name, {name: {}}, config=baseline), with_pointrend]
