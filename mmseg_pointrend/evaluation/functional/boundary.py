"""Bands around the boundaries of a label map: where sharpness is won or lost (paper, App. C)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg_pointrend.core.shapes import check_shape
from mmseg_pointrend.evaluation.functional.distance import squared_distances, window_maximum


def boundary_pixels(labels: Tensor, ignore_index: int = 255) -> Tensor:
    """Mark the pixels on either side of a boundary between two classes.

    A boundary runs between two pixels that share an edge and have different labels, neither of them
    `ignore_index`: where a class borders on void, nobody knows the boundary.

    Args:
        labels: (N, H, W), integers.
        ignore_index: label of void pixels.

    Returns:
        (N, H, W), bool.

    Raises:
        ValueError: for labels of another shape.
    """
    check_shape("labels", labels, "(N, H, W)")
    valid = labels != ignore_index
    marked = torch.zeros_like(valid)
    for dim in (1, 2):
        if labels.shape[dim] < 2:
            continue
        length = labels.shape[dim] - 1
        first, second = labels.narrow(dim, 0, length), labels.narrow(dim, 1, length)
        differs = (first != second) & valid.narrow(dim, 0, length) & valid.narrow(dim, 1, length)
        marked.narrow(dim, 0, length).logical_or_(differs)
        marked.narrow(dim, 1, length).logical_or_(differs)
    return marked


def trimap(labels: Tensor, width: int, ignore_index: int = 255) -> Tensor:
    """Mark the band of pixels within `width` pixels of a boundary, on both sides of it.

    The pixels next to the boundary are 1 pixel away from it; a pixel is in the band if its
    Euclidean distance to the nearest of these is at most `width` - 1. Void pixels are never in the
    band.

    Args:
        labels: (N, H, W), integers.
        width: pixels on each side, >= 1. The paper's Table 8 has 8 and 20.
        ignore_index: label of void pixels.

    Returns:
        (N, H, W), bool.

    Raises:
        ValueError: for `width` < 1, or labels of another shape.
    """
    return trimaps(labels, [width], ignore_index)[0]


def trimaps(labels: Tensor, widths: Sequence[int], ignore_index: int = 255) -> list[Tensor]:
    """Mark the bands of several widths, in the time that the widest takes; see `trimap`."""
    for width in widths:
        check_width(width)
    if not widths:
        return []
    edges = boundary_pixels(labels, ignore_index)
    distances = squared_distances(edges, max(widths) - 1)
    # Beyond every limit, so in no band.
    distances.masked_fill_(labels == ignore_index, torch.iinfo(distances.dtype).max)
    return [distances <= (width - 1) ** 2 for width in widths]


def check_width(width: int) -> None:
    """Raise ValueError unless a trimap can be `width` pixels wide."""
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise ValueError(f"width must be an integer >= 1 (pixels), got {width!r}")


def inner_boundary(labels: Tensor, distance: int | float, ignore_index: int = 255) -> Tensor:
    """Mark the pixels of every mask that lie within a distance of the mask's own contour.

    The masks are those of the classes of a label map. As in the authors' code for Boundary IoU
    (Cheng et al., CVPR 2021), the region is the mask without its erosion by a square of 2 d + 1
    pixels, and outside of the picture there is no mask. So a pixel is marked if a pixel of another
    class, or the outside, lies at most d rows and d columns away.

    Void pixels are in no mask and no contour: it is not known whether the mask goes on there.

    Args:
        labels: (N, H, W), integers.
        distance: d, see `resolve_distance`.
        ignore_index: label of void pixels.

    Returns:
        (N, H, W), bool.

    Raises:
        ValueError: for a distance out of range, or labels of another shape.
    """
    check_shape("labels", labels, "(N, H, W)")
    size = (labels.shape[1], labels.shape[2])
    # No pixel is farther from the outside; a long way beyond it would cost time and memory.
    radius = min(resolve_distance(distance, size), (min(size) + 1) // 2)
    void, labels = labels == ignore_index, labels.to(torch.int32)
    smallest, largest = torch.iinfo(labels.dtype).min, torch.iinfo(labels.dtype).max
    marked = torch.zeros_like(void)
    # Larger labels around, among them the outside's; then smaller ones. Void is never the maximum.
    for values, outside in ((labels, largest), (-labels, smallest)):
        around = window_maximum(values.masked_fill(void, smallest), radius, outside)
        marked |= around > values
    return marked & ~void


def mask_boundary(masks: Tensor, distance: int) -> Tensor:
    """Mark the pixels of masks that lie within a distance of the mask's own contour.

    `inner_boundary` for masks that may overlap, and for the masks alone, not what is around them.

    Args:
        masks: (N, H, W), bool.
        distance: d, pixels, >= 1.

    Returns:
        (N, H, W), bool.

    Raises:
        ValueError: for a distance out of range, or masks of another shape.
    """
    check_shape("masks", masks, "(N, H, W)")
    size = (masks.shape[1], masks.shape[2])
    # As in `inner_boundary`.
    radius = min(resolve_distance(distance, size), (min(size) + 1) // 2)
    beside = window_maximum((~masks).to(torch.uint8), radius, outside=1)
    return masks & beside.bool()


def resolve_distance(distance: int | float, size: tuple[int, int]) -> int:
    """Turn the distance d of Boundary IoU into pixels.

    Args:
        distance: an integer is a number of pixels, >= 1. A float in (0, 1) is a fraction of the
            picture's diagonal, rounded to pixels, at least 1; the authors' code has 0.02.
        size: (H, W) of the picture.

    Raises:
        ValueError: for a distance out of range.
    """
    check_distance(distance)
    return distance if isinstance(distance, int) else max(1, round(distance * math.hypot(*size)))


def check_distance(distance: int | float) -> None:
    """Raise ValueError unless `resolve_distance` takes a distance."""
    if isinstance(distance, bool) or not (
        (isinstance(distance, int) and distance >= 1)
        or (isinstance(distance, float) and 0 < distance < 1)
    ):
        raise ValueError(
            "distance must be an integer >= 1 (pixels) or a float in (0, 1) (of the diagonal), "
            f"got {distance!r}"
        )
