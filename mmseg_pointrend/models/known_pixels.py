"""mmsegmentation's losses on maps in which pixels are ignored."""

import torch
from mmseg.models.losses import CrossEntropyLoss, DiceLoss, LovaszLoss, TverskyLoss
from torch import Tensor, nn

#: Losses that are told here which pixels count.
_LOSSES = (CrossEntropyLoss, DiceLoss, LovaszLoss, TverskyLoss)


class KnownPixelsLoss(nn.Module):
    """A loss of mmsegmentation's over the pixels of a batch whose label is known.

    Without ignored pixels the value is mmsegmentation's, and so is that of a cross entropy without
    class weights. Otherwise mmsegmentation's `class_weight` is indexed by the ignored label, its
    Dice loss counts what is predicted in ignored pixels as wrong, and its Tversky loss knows no
    ignored label but its own. Here a weighted cross entropy and the Lovasz loss are those of the
    known pixels, the losses that are a mean over images (Dice, Tversky, Lovasz with `per_image`)
    those of each image's known pixels, in the mean over the images that have some.

    Args:
        loss: called as loss(logits, labels, weight=..., ignore_index=...).
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    @property
    def loss_name(self) -> str:
        """Name of the value in the log."""
        return str(self.loss.loss_name)

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            logits: (N, K, H, W).
            labels: (N, H, W).
            weight: (N, H, W), of the pixels.
            ignore_index: label of pixels to leave out; all count by default.
            reduction_override: if given, mmsegmentation's loss decides; a pixel sampler does this.

        Returns:
            a scalar, zero with a gradient graph if no pixel is known.
        """
        logits = at_least_float32(logits)
        arguments = {} if weight is None else dict(weight=weight)
        if ignore_index is None:
            return self.loss(logits, labels, **arguments)
        if reduction_override is not None:
            arguments["reduction_override"] = reduction_override  # type: ignore[assignment]
            return self.loss(logits, labels, ignore_index=ignore_index, **arguments)
        if leaves_ignored_out(self.loss):
            return self.loss(logits, labels, ignore_index=ignore_index, **arguments)
        known = labels != ignore_index
        if not bool(known.any()):
            return ignored_loss(logits)
        if _counts_right(self.loss) or bool(known.all()):
            return self.loss(logits, labels, ignore_index=ignore_index, **arguments)
        if not _is_mean_over_images(self.loss):
            return apply_to_known(self.loss, logits, labels, known, weight)
        parts = [slice(i, i + 1) for i in range(len(labels)) if bool(known[i].any())]
        total = torch.stack(
            [apply_to_known(self.loss, logits[i], labels[i], known[i]) for i in parts]
        ).sum()
        return total if getattr(self.loss, "reduction", "mean") == "sum" else total / len(parts)


def apply_to_known(
    loss: nn.Module, logits: Tensor, labels: Tensor, known: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Lay known pixels or points out as an image one pixel wide, and compute their loss.

    Args:
        loss: of mmsegmentation.
        logits: (N, K, ...).
        labels: (N, ...).
        known: (N, ...), where the label is known, which is so somewhere.
        weight: (N, ...), of the pixels.

    Returns:
        the loss over an image (1, K, P, 1) of the P known ones.
    """
    known_logits = logits.movedim(1, -1)[known].t()[None, :, :, None]
    known_labels = labels[known].long()[None, :, None]
    arguments = {} if weight is None else dict(weight=weight[known][None, :, None])
    # The Lovasz loss fails on a single pixel when it looks for ignored ones; -100 is no label.
    no_label = None if isinstance(loss, LovaszLoss) else -100
    value = loss(known_logits, known_labels, ignore_index=no_label, **arguments)
    return value.mean() if value.dim() and _is_mean_over_images(loss) else value


def leaves_ignored_out(loss: nn.Module) -> bool:
    """Whether a loss is 0, with a gradient graph, in ignored pixels, also where all are ignored.

    Nobody has to look then whether there are known ones, for which an accelerator would have to be
    waited for: the usual loss, a cross entropy after softmax, without class weights.
    """
    return (
        isinstance(loss, CrossEntropyLoss)
        and not (loss.use_sigmoid or loss.use_mask)
        and loss.class_weight is None
        and loss.reduction == "mean"
    )


def copes_with_ignored(loss: nn.Module) -> bool:
    """Whether a decode head's loss, see `count_known_pixels`, leaves ignored pixels out."""
    return isinstance(loss, KnownPixelsLoss) and leaves_ignored_out(loss.loss)


def _counts_right(loss: nn.Module) -> bool:
    """Whether the loss handles ignored pixels itself, pixel by pixel."""
    return isinstance(loss, CrossEntropyLoss) and (loss.class_weight is None or loss.use_sigmoid)


def _is_mean_over_images(loss: nn.Module) -> bool:
    return isinstance(loss, DiceLoss | TverskyLoss) or getattr(loss, "per_image", False)


def count_known_pixels(head: nn.Module) -> None:
    """Put `KnownPixelsLoss` around those losses of a decode head that it knows."""
    losses = getattr(head, "loss_decode", None)
    if isinstance(losses, nn.ModuleList):
        head.loss_decode = nn.ModuleList(map(_wrap, losses))
    elif isinstance(losses, nn.Module):
        head.loss_decode = _wrap(losses)


def _wrap(loss: nn.Module) -> nn.Module:
    return KnownPixelsLoss(loss) if isinstance(loss, _LOSSES) else loss


def modules_of(modules: nn.Module) -> list[nn.Module]:
    """List losses or heads, which mmsegmentation holds as one module or a `ModuleList`."""
    return list(modules) if isinstance(modules, nn.ModuleList) else [modules]


def at_least_float32(logits: Tensor) -> Tensor:
    """Give logits in half precision in float32: of two of them, far apart, float16 overflows."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def ignored_loss(logits: Tensor) -> Tensor:
    """Zero, connected to the graph: the sum of no logits (0 * inf would be NaN)."""
    return logits[:0].sum()
