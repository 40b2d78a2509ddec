"""mmsegmentation's pixel losses, applied to points."""

from collections.abc import Iterable, Sequence

from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_pointrend.models.known_pixels import (
    apply_to_known,
    at_least_float32,
    ignored_loss,
    leaves_ignored_out,
)
from mmseg_pointrend.models.loss_checks import check_loss


def build_losses(config: dict | Sequence[dict] | None, out_channels: int) -> nn.ModuleList:
    """Build one loss or several.

    Args:
        config: mmsegmentation loss config(s); cross entropy by default, with a sigmoid for one
            output channel.
        out_channels: K.

    Raises:
        ValueError: for a loss that cannot work, see `check_loss`.
    """
    if config is None:
        config = dict(type="CrossEntropyLoss", use_sigmoid=out_channels == 1)
    losses = nn.ModuleList(
        MODELS.build(item) for item in ([config] if isinstance(config, dict) else config)
    )
    for loss in losses:
        check_loss("loss_point", loss, out_channels)
    return losses


def masked_losses(
    losses: Iterable[nn.Module], logits: Tensor, labels: Tensor, ignore_index: int
) -> dict[str, Tensor]:
    """Apply pixel losses to the points whose label is known.

    The known points are laid out as an image one pixel wide, as losses on images take it; a mean
    is then a mean over known points, not diluted by the ignored ones. Without known points each
    loss is zero, with a gradient graph, so that distributed training finds every parameter used.

    Args:
        losses: modules called as loss(logits, labels, ignore_index=...), which then is no label.
        logits: (N, K, P).
        labels: (N, P).
        ignore_index: label of points to leave out.

    Returns:
        each loss by its name; losses of equal name are added up, as mmsegmentation does for pixels.
    """
    logits, known = at_least_float32(logits), labels != ignore_index
    values: dict[str, Tensor] = {}
    for loss in losses:
        if leaves_ignored_out(loss):
            value = loss(
                logits,
                labels.long(),
                avg_factor=known.sum(dtype=logits.dtype),
                ignore_index=ignore_index,
            )
        elif bool(known.any()):
            value = apply_to_known(loss, logits, labels, known)
        else:
            value = ignored_loss(logits)
        name = str(loss.loss_name)
        values[name] = values[name] + value if name in values else value
    return values
