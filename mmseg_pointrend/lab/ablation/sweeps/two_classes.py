"""What practice says of two classes: one logit or two, and a point head that is cheap."""

from functools import reduce
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.lab.ablation.sweeps.sweep import (
    AS_CONFIGURED,
    Sweep,
    Training,
    UnfitConfigError,
)
from mmseg_pointrend.lab.ablation.tasks import SEMANTIC

_LOGITS = {"one-logit": 1, "two-logits": None}
_POINT_HEAD = f"{SEMANTIC.head}.point_head"
#: By the names that the sweep `point-head` has for the same trainings.
_PRACTICE = {
    "depth-1": {f"{_POINT_HEAD}.num_fcs": 1},
    "elu": {f"{_POINT_HEAD}.act_cfg": dict(type="ELU")},
    "coarse-at-fine": {f"{SEMANTIC.head}.coarse_at_fine": True},
}


def two_classes(config: Config, path: Path) -> Sweep:
    """Vary the number of logits, and the point head by what practice recommends."""
    head = SEMANTIC.head_of(config)
    if head.num_classes != 2:
        raise UnfitConfigError(
            f"config {path} has {head.num_classes} classes; this sweep compares two"
        )
    own = next(name for name, count in _LOGITS.items() if head.get("out_channels") == count)
    changes = {name: {f"{SEMANTIC.head}.out_channels": _LOGITS[name]} for name in _LOGITS}
    changes |= _PRACTICE
    changes["practice"] = {key: value for each in _PRACTICE.values() for key, value in each.items()}
    trainings = [Training(AS_CONFIGURED, {f"as-configured_{own}": {}})]
    trainings += [
        Training(f"point-head_{name}", {name: {}}, options)
        for name, options in changes.items()
        if not _is_configured(config, options)
    ]
    return Sweep("Logits and point heads for two classes", "notes from practice", tuple(trainings))


def _is_configured(config: Config, options: dict) -> bool:
    """Whether options, none of which is a default that goes unsaid, change nothing."""
    return all(
        reduce(lambda node, part: (node or {}).get(part), key.split("."), config) == value
        for key, value in options.items()
    )
