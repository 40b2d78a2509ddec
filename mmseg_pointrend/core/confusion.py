"""Counting predictions against the truth."""

import torch
from torch import Tensor


def confusion_matrix(
    predicted: Tensor, target: Tensor, num_classes: int, mask: Tensor | None = None
) -> Tensor:
    """Count how often each true class was predicted as each class.

    Pixels whose target lies outside the classes (void) are not counted.

    Args:
        predicted: integers in [0, K), any shape.
        target: integers of the same shape.
        num_classes: K.
        mask: bool of the same shape: count only these pixels.

    Returns:
        (K, K), int64: row = true class, column = predicted class.
    """
    counted = (target >= 0) & (target < num_classes)
    if mask is not None:
        counted = counted & mask
    pairs = target[counted].long() * num_classes + predicted[counted].long()
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def iou_per_class(confusion: Tensor) -> Tensor:
    """Intersection over union of every class.

    Args:
        confusion: (K, K), as `confusion_matrix` gives it; sums over images count as one image.

    Returns:
        (K,), float64 in [0, 1]; NaN for a class that occurs neither in truth nor prediction.
    """
    confusion = confusion.double()
    hits = confusion.diagonal()
    return hits / (confusion.sum(0) + confusion.sum(1) - hits)
