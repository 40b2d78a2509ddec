"""The parts of a head that can be changed: the uncertainty, the sampler, the point head.

What is not one of the built-in ones is built from a registry: margins and samplers from
`mmseg.registry.TASK_UTILS`, point heads from `MODELS`. docs/change_a_part.md has one of each.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from mmseg.registry import TASK_UTILS
from torch import Tensor, nn

from mmseg_pointrend.core import MARGINS, Margin, Sampler, TrainingPoints
from mmseg_pointrend.models.feature_maps import channels_of, indices_of

#: What is asked of a point head.
_POINT_HEAD_PARTS = ("in_index", "in_channels")


def build_margin(config: str | dict | Callable, out_channels: int) -> Margin:
    """Build the margin that tells how certain a prediction is.

    Args:
        config: a key of `core.MARGINS`; the name of a type registered in TASK_UTILS, or its config;
            or the margin itself, any callable (N, K, ...) -> (N, ...).
        out_channels: K.

    Raises:
        ValueError: for a name that stands for nothing, or something that is no margin.
    """
    margin: Any
    if isinstance(config, str):
        margin = MARGINS.get(config)
        if margin is None:
            if TASK_UTILS.get(config) is None:
                raise ValueError(
                    f"uncertainty must be one of {list(MARGINS)}, or a type registered in "
                    f"TASK_UTILS, got {config!r}"
                )
            margin = TASK_UTILS.build(dict(type=config))
    elif isinstance(config, dict):
        margin = TASK_UTILS.build(config)
    else:
        margin = config
    if not callable(margin) or inspect.isclass(margin):
        raise ValueError(
            f"uncertainty must be a function (N, K, ...) -> (N, ...), a name or a config with a "
            f"type, got {config!r}"
        )
    found = margin(torch.zeros(1, out_channels, 2, 3))
    if not isinstance(found, Tensor) or found.shape != (1, 2, 3):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(
            f"uncertainty={config!r} must turn logits (N, K, ...) into margins (N, ...): of "
            f"(1, {out_channels}, 2, 3) it makes {shape}, not (1, 2, 3)"
        )
    return margin


def build_sampler(config: dict | None) -> Sampler:
    """Build what chooses training points.

    Args:
        config: settings of `core.TrainingPoints`, its defaults if None; with a `type`, one that is
            registered in TASK_UTILS.

    Raises:
        ValueError: for settings out of range.
    """
    config = config or {}
    if "type" in config:
        return TASK_UTILS.build(config)
    return TrainingPoints(**config)


def check_point_head(head: nn.Module, picture: nn.Module | None = None) -> None:
    """Raise ValueError for a point head that does not say what it reads.

    A point head is a module with

    - `out_channels` (K) among its arguments, which `PointRendHead` gives it;
    - `in_index`: which feature maps it reads, one or several, and `in_channels`: how many channels
      each of them has, and at the end those of the picture, if it is read;
    - `forward(fine, coarse)`: (N, C, P) fine-grained features and (N, K, P) coarse logits ->
      (N, K, P) logits. N are images or regions. P differs from call to call.

    Args:
        head: what was built from `point_head`.
        picture: what reads the picture, if anything does.
    """
    missing = [part for part in _POINT_HEAD_PARTS if not hasattr(head, part)]
    if missing:
        raise ValueError(
            f"point_head {type(head).__name__} has no {' and no '.join(missing)}; it must say "
            "which feature maps it reads (in_index) and their channels (in_channels)"
        )
    indices, channels = indices_of(head), channels_of(head)
    if picture is not None:
        if channels[-1:] != [picture.out_channels]:
            raise ValueError(
                f"point_head {type(head).__name__} must take the picture's channels, "
                f"{picture.out_channels}, as the last of in_channels, got {channels}"
            )
        del channels[-1]
    if len(indices) != len(channels):
        raise ValueError(
            f"point_head.in_channels={channels} and point_head.in_index={indices} must name as "
            "many feature maps"
        )


def check_point_logits(head: nn.Module, logits: Tensor, coarse: Tensor) -> None:
    """Raise ValueError unless a point head's output is shaped as the coarse logits, (N, K, P)."""
    if not isinstance(logits, Tensor) or logits.shape != coarse.shape:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"point_head {type(head).__name__} must give logits (N, K, P), here "
            f"{tuple(coarse.shape)}, got {got}"
        )
