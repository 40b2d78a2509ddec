"""The classes: written once, in the decode head, and the same in every part of a model."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

from mmseg_pointrend.core import THRESHOLD


class ClassSettings(NamedTuple):
    """What a decode head says of the classes.

    Attributes:
        num_classes: number of classes.
        out_channels: K, logits per point.
        threshold: with K = 1, the probability above which a point is class 1; else as it was given.
        ignore_index: label of pixels that count in no loss.
    """

    num_classes: int
    out_channels: int
    threshold: float | None
    ignore_index: int


def resolve_classes(
    num_classes: int, out_channels: int | None, threshold: float | None, ignore_index: int
) -> ClassSettings:
    """Fill in what is not given, and check the rest.

    Args:
        num_classes: number of classes.
        out_channels: `num_classes` if None.
        threshold: with one output channel `core.THRESHOLD` if None.
        ignore_index: label of pixels that count in no loss.

    Raises:
        ValueError: for a single class, for `out_channels` other than `num_classes`, or 1 for two
            classes, or a threshold outside (0, 1).
    """
    if num_classes == 1:
        raise ValueError(
            "num_classes must be 2 or more, got 1: the background is a class, too; for one logit "
            "set num_classes=2 and out_channels=1"
        )
    if out_channels is None:
        out_channels = num_classes
    if out_channels == 1:
        if num_classes != 2:
            raise ValueError(
                f"out_channels=1 tells two classes apart, but num_classes={num_classes}; "
                "set num_classes=2, or leave out_channels out"
            )
        if threshold is None:
            threshold = THRESHOLD
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie in (0, 1), got {threshold}")
    elif out_channels != num_classes:
        raise ValueError(
            f"out_channels must be num_classes={num_classes}, or 1 for two classes, "
            f"got {out_channels}"
        )
    return ClassSettings(num_classes, out_channels, threshold, ignore_index)


def complete_coarse_config(config: dict, classes: ClassSettings) -> dict:
    """Complete a coarse head's config; with one logit its loss is a sigmoid's by default.

    Raises:
        ValueError: if the config says otherwise of the classes.
    """
    config = _merge("coarse_head", config, classes._asdict())
    if classes.out_channels == 1:
        config.setdefault("loss_decode", dict(type="CrossEntropyLoss", use_sigmoid=True))
    return config


def complete_point_config(config: dict, classes: ClassSettings) -> dict:
    """Complete a point head's config, `type` included, by what a point head is told: K.

    Raises:
        ValueError: if the config says otherwise of the classes.
    """
    shared = dict(num_classes=classes.num_classes, out_channels=classes.out_channels)
    merged = _merge("point_head", config, shared)
    return {"type": "PointMLP"} | {k: v for k, v in merged.items() if k != "num_classes"}


def _merge(name: str, config: dict, shared: dict) -> dict:
    for key, value in shared.items():
        if config.get(key, value) != value:
            raise ValueError(
                f"{name}.{key}={config[key]} contradicts decode_head.{key}={value}; "
                f"write {key} once, in decode_head"
            )
    return {**config, **shared}


def check_auxiliary_heads(decode_head: nn.Module, heads: Iterable[nn.Module]) -> None:
    """Compare auxiliary heads, which have classes of their own, with the decode head.

    mmsegmentation's models write `num_classes` out in both. One that is forgotten shows as an index
    error deep in a loss, or not at all.

    Args:
        decode_head: whose classes count.
        heads: auxiliary heads.

    Raises:
        ValueError: for another `num_classes` or `ignore_index`.
    """
    for head in heads:
        for key in ("num_classes", "ignore_index"):
            expected = getattr(decode_head, key)
            if getattr(head, key, expected) != expected:
                raise ValueError(
                    f"auxiliary_head.{key}={getattr(head, key)}, but decode_head.{key}={expected}; "
                    f"set model.auxiliary_head.{key}={expected}, too"
                )
