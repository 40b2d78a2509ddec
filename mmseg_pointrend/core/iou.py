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
    for the Boundary IoU they are the `core.inner_boundary` of either map.

    Args:
        predicted: integers in [0, K) within its region, any shape.
        target: integers of the same shape; labels outside [0, K) (void) belong to no mask.
        num_classes: K.
        predicted_region: bool of the same shape, of pixels whose truth is known.
        target_region: bool of the same shape.

    Returns:
        (2, K), int64: intersections, unions. Sums over images count as one image.
    """
    target_region = target_region & (target >= 0) & (target < num_classes)
    hits = target_region & predicted_region & (predicted == target)
    # Pixels outside a region count as one class more: faster than picking those inside.
    found, true, both = (
        torch.bincount(
            labels.long().masked_fill(~region, num_classes).flatten(), minlength=num_classes + 1
        )[:num_classes]
        for labels, region in (
            (predicted, predicted_region),
            (target, target_region),
            (target, hits),
        )
    )
    return torch.stack([both, found + true - both])


def iou_per_class(counts: Tensor) -> Tensor:
    """Intersection over union of every class.

    Args:
        counts: (..., 2, K), as `intersections_and_unions` gives them.

    Returns:
        (..., K), float64 in [0, 1]; NaN for a class that occurs neither in truth nor prediction.
    """
    intersections, unions = counts.double().unbind(-2)
    return intersections / unions
