"""The loss of predicted points."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def point_loss(
    logits: Tensor,
    labels: Tensor,
    class_weights: Sequence[float] | None = None,
    ignore_index: int = 255,
) -> Tensor:
    """Compute the cross entropy of points (paper, sec. 3.1, "Training"), a mean over known ones.

    Args:
        logits: (N, K, P). K = 1 is the logit of class 1 against class 0.
        labels: (N, P), integers.
        class_weights: one weight for each class, two for K = 1; the mean is weighted by them.
        ignore_index: label of points that do not count.

    Returns:
        a scalar; zero with a gradient graph if no point is known.

    Raises:
        ValueError: for labels that are no class, or another number of weights than of classes.

    Example:
        >>> point_loss(torch.zeros(1, 4, 2), torch.tensor([[3, 255]]))
        tensor(1.3863)
        >>> point_loss(torch.zeros(1, 1, 2), torch.tensor([[1, 0]]), class_weights=[1, 5])
        tensor(0.6931)
    """
    logits, labels = logits.float(), labels.long()
    if logits.shape[1] == 1:
        # The softmax of (0, x) is the sigmoid of x.
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    num_classes = logits.shape[1]
    if class_weights is not None and len(class_weights) != num_classes:
        raise ValueError(
            f"class_weights must be one weight for each of {num_classes} classes, got "
            f"{len(class_weights)}"
        )
    _check_labels(labels, num_classes, ignore_index)
    known = labels != ignore_index
    weights = logits.new_tensor([1.0] * num_classes if class_weights is None else class_weights)
    total = F.cross_entropy(
        logits, labels.masked_fill(~known, -100), weight=weights, reduction="sum"
    )
    share = weights[labels.masked_fill(~known, 0)] * known
    return total / share.sum().clamp(min=torch.finfo(total.dtype).tiny)


def _check_labels(labels: Tensor, num_classes: int, ignore_index: int) -> None:
    wrong = ((labels < 0) | (labels >= num_classes)) & (labels != ignore_index)
    if bool(wrong.any()):
        raise ValueError(
            f"labels must lie in [0, {num_classes - 1}] or be ignore_index={ignore_index}, got "
            f"{int(labels[wrong][0])}"
        )
