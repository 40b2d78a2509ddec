"""A decode head of mmsegmentation as a coarse head: what it must be, its output, its losses."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.utils import SampleList
from torch import Tensor, nn

from mmseg_pointrend.core import Resize
from mmseg_pointrend.models.feature_maps import indices_of
from mmseg_pointrend.models.known_pixels import copes_with_ignored, ignored_loss, modules_of

#: What a head makes of the feature maps: logits, or a sequence that begins with them.
CoarseOutput = Tensor | Sequence[Tensor]

#: What is asked of a head; `BaseDecodeHead` has it.
_PARTS = ("in_index", "align_corners", "ignore_index", "loss_decode", "loss_by_feat")
#: How torch begins to say that batch normalisation was given one number to normalise.
_ONE_VALUE = "Expected more than 1 value per channel"


def check_coarse_head(head: nn.Module) -> None:
    """Raise ValueError for a head that cannot predict from feature maps alone, or not be trained.

    Args:
        head: what was built from `coarse_head`.
    """
    name = type(head).__name__
    if isinstance(head, BaseCascadeDecodeHead):
        raise ValueError(
            f"coarse_head {name} needs the prediction of another head; take one that predicts from "
            "feature maps alone"
        )
    missing = [part for part in _PARTS if not hasattr(head, part)]
    if missing:
        raise ValueError(
            f"coarse_head {name} has no {' and no '.join(missing)}; take a decode head that is "
            "derived from mmsegmentation's BaseDecodeHead"
        )


def run_coarse_head(head: nn.Module, inputs: Sequence[Tensor]) -> CoarseOutput:
    """Run a coarse head.

    Args:
        head: passes `check_coarse_head`.
        inputs: feature maps, each (N, C_i, h_i, w_i).

    Raises:
        ValueError: for `in_channels` that do not fit the feature maps, or a batch too small to be
            normalised.
    """
    try:
        return head(inputs)
    except (RuntimeError, ValueError) as error:
        reason = _explain(head, inputs, error)
        if reason is None:
            raise
        raise ValueError(reason) from error


def main_logits(head: nn.Module, output: CoarseOutput, out_channels: int) -> Tensor:
    """Take the logits from a coarse head's output.

    A head of several outputs (`DAHead`, `EncHead`) gives its prediction first.

    Args:
        head: whose output it is.
        output: see `run_coarse_head`.
        out_channels: K.

    Returns:
        (N, K, h, w).

    Raises:
        ValueError: if there are no such logits.
    """
    first = output[0] if isinstance(output, list | tuple) and output else output
    if isinstance(first, Tensor) and first.dim() == 4 and first.shape[1] == out_channels:
        return first
    got = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
    raise ValueError(
        f"coarse_head {type(head).__name__} must give logits (N, {out_channels}, h, w), alone or "
        f"as the first of several outputs, got {got}"
    )


def coarse_losses(
    head: nn.Module, output: CoarseOutput, labels: Tensor, data_samples: SampleList
) -> dict[str, Tensor]:
    """Compute a coarse head's own losses.

    Args:
        head: whose output it is.
        output: see `run_coarse_head`.
        labels: (N, 1, H, W).
        data_samples: the same labels, as the head takes them.

    Returns:
        losses and accuracies as the head names them.
    """
    # What a head of mmsegmentation has, which is not typed.
    theirs: Any = head
    if not _copes_with_ignored(theirs) and bool((labels == theirs.ignore_index).all()):
        # Several of mmsegmentation's losses fail on a batch in which every pixel is ignored.
        outputs = [output] if isinstance(output, Tensor) else output
        zero = torch.stack([ignored_loss(values) for values in outputs]).sum()
        return {str(loss.loss_name): zero for loss in modules_of(theirs.loss_decode)}
    if theirs.align_corners:
        output = _enlarge(output, (labels.shape[2], labels.shape[3]))
    return theirs.loss_by_feat(output, data_samples)


def _copes_with_ignored(head: Any) -> bool:
    """Whether a head's losses need no look at the labels: the usual ones, of all pixels."""
    usual = getattr(type(head), "loss_by_feat", None) is BaseDecodeHead.loss_by_feat
    losses = modules_of(head.loss_decode)
    return usual and head.sampler is None and all(map(copes_with_ignored, losses))


def _enlarge(output: CoarseOutput, size: tuple[int, int]) -> CoarseOutput:
    """Enlarge maps to the labels, as rendering does; the head then finds nothing left to resize.

    A head with `align_corners=True` would learn logits for other places than those where points
    and steps read them, half a cell away at the border.
    """
    if isinstance(output, Tensor):
        return Resize(*size).apply(output) if output.dim() == 4 else output
    maps: list[Any] = [_enlarge(values, size) for values in output]
    return tuple(maps) if isinstance(output, tuple) else maps


def _explain(head: nn.Module, inputs: Sequence[Tensor], error: Exception) -> str | None:
    """Say what an error means, if it has one of the usual reasons."""
    name = type(head).__name__
    if str(error).startswith(_ONE_VALUE):
        return (
            f"coarse_head {name} cannot normalise a 1x1 map of a single image; train with two "
            "images or more in a batch, or give coarse_head a norm_cfg without batches, such as "
            "dict(type='GN', num_groups=32)"
        )
    indices, expected = indices_of(head), getattr(head, "in_channels", None)
    if not all(isinstance(inputs[index], Tensor) for index in indices):
        return None
    found = [inputs[index].shape[1] for index in indices]
    summed = isinstance(expected, int)
    if expected is None or (sum(found) if summed else found) == (
        expected if summed else list(expected)
    ):
        return None
    shown = f"{expected} in all" if summed and len(found) > 1 else expected
    return (
        f"coarse_head.in_channels={shown} does not fit: feature maps {indices} have {found} "
        "channels"
    )
