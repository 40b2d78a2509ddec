"""Counting predictions against the truth, class by class."""

import torch
from torch import Tensor


def intersections_and_unions(
    predicted: Tensor,
    target: Tensor,
    num_classes: int,
    predicted_region: Tensor,
    target_region: Tensor,
) -> Tensor:
    """Count the pixels in the intersection and in the union of each class's two masks.

    A class's predicted mask is made of the pixels of the predicted region that have its label, its
    true mask likewise. Both regions alike, whole pictures or a trimap, give the ordinary IoU there;
    for the Boundary IoU they are the `inner_boundary` of either map.

    Args:
        predicted: integers, any shape.
        target: integers of the same shape.
        num_classes: K. Labels outside of [0, K), predicted or true, belong to no mask.
        predicted_region: bool of the same shape, of pixels whose truth is known.
        target_region: bool of the same shape.

    Returns:
        (2, K), int64: intersections, unions. Sums over images count as one image.

    Raises:
        ValueError: for shapes that differ.
    """
    for name, values in (
        ("target", target),
        ("predicted_region", predicted_region),
        ("target_region", target_region),
    ):
        if values.shape != predicted.shape:
            raise ValueError(
                f"{name} must have the shape of predicted, {tuple(predicted.shape)}, got "
                f"{tuple(values.shape)}"
            )
    found = _masks(predicted, predicted_region, num_classes)
    true = _masks(target, target_region, num_classes)
    of_found, of_true = _count(found, num_classes), _count(true, num_classes)
    both = _count(true.masked_fill_(found != true, num_classes), num_classes)
    return torch.stack([both, of_found + of_true - both])


def _masks(labels: Tensor, region: Tensor, num_classes: int) -> Tensor:
    """Copy labels; what is in no mask gets K: counting it is faster than picking the rest."""
    labels = labels.long()
    return labels.masked_fill(~(region & (labels >= 0) & (labels < num_classes)), num_classes)


def _count(masks: Tensor, num_classes: int) -> Tensor:
    return torch.bincount(masks.flatten(), minlength=num_classes + 1)[:num_classes]


def iou_per_class(counts: Tensor) -> Tensor:
    """Intersection over union of every class.

    Args:
        counts: (..., 2, K), as `intersections_and_unions` gives them.

    Returns:
        (..., K), float64 in [0, 1]; NaN for a class that occurs neither in truth nor prediction.

    Raises:
        ValueError: for counts of another shape.
    """
    if counts.dim() < 2 or counts.shape[-2] != 2:
        raise ValueError(f"counts must have shape (..., 2, K), got {tuple(counts.shape)}")
    intersections, unions = counts.double().unbind(-2)
    return intersections / unions
