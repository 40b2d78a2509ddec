"""mmsegmentation's pixel losses, applied to points."""

from collections.abc import Iterable, Sequence

from mmseg.registry import MODELS
from torch import Tensor, nn


def build_losses(config: dict | Sequence[dict] | None, out_channels: int) -> nn.ModuleList:
    """Build one loss or several.

    Args:
        config: mmsegmentation loss config(s); cross entropy by default, with a sigmoid for one
            output channel.
        out_channels: K.

    Raises:
        ValueError: for a cross entropy without a sigmoid over one channel, which is 0 whatever the
            prediction.
    """
    if config is None:
        config = dict(type="CrossEntropyLoss", use_sigmoid=out_channels == 1)
    losses = nn.ModuleList(
        MODELS.build(item) for item in ([config] if isinstance(config, dict) else config)
    )
    for loss in losses:
        check_binary_loss("loss_point", loss, out_channels)
    return losses


def modules_of(modules: nn.Module) -> list[nn.Module]:
    """List losses or heads, which mmsegmentation holds as one module or a `ModuleList`."""
    return list(modules) if isinstance(modules, nn.ModuleList) else [modules]


def check_binary_loss(name: str, loss: nn.Module, out_channels: int) -> None:
    """Refuse a softmax cross entropy over one channel, which is 0 whatever the prediction."""
    if out_channels == 1 and getattr(loss, "use_sigmoid", True) is False:
        raise ValueError(
            f"{name}={type(loss).__name__} without use_sigmoid=True learns nothing from "
            "out_channels=1; set use_sigmoid=True"
        )


def masked_losses(
    losses: Iterable[nn.Module], logits: Tensor, labels: Tensor, ignore_index: int
) -> dict[str, Tensor]:
    """Apply pixel losses to the points whose label is known.

    The known points are laid out as an image one pixel wide, as losses on images take it; a mean
    is then a mean over known points, not diluted by the ignored ones. Without known points each
    loss is zero, with a gradient graph, so that distributed training finds every parameter used.

    Args:
        losses: modules called as loss(logits, labels, ignore_index=...).
        logits: (N, K, P).
        labels: (N, P).
        ignore_index: label of points to leave out.

    Returns:
        each loss by its name; losses of equal name are added up, as mmsegmentation does for pixels.
    """
    known = labels != ignore_index
    known_logits = logits.transpose(1, 2)[known].t()[None, :, :, None]
    known_labels = labels[known].long()[None, :, None]
    values: dict[str, Tensor] = {}
    for loss in losses:
        if known_labels.numel():
            value = loss(known_logits, known_labels, ignore_index=ignore_index)
        else:
            value = ignored_loss(logits)
        name = str(loss.loss_name)
        values[name] = values[name] + value if name in values else value
    return values


def ignored_loss(logits: Tensor) -> Tensor:
    """Zero, connected to the graph: the sum of no logits (0 * inf would be NaN)."""
    return logits[:0].sum()
