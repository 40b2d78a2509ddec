"""Bands around the boundaries of a label map: where sharpness is won or lost (paper, App. C)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def boundary_pixels(labels: Tensor, ignore_index: int = 255) -> Tensor:
    """Mark the pixels on either side of a boundary between two classes.

    A boundary runs between two pixels that share an edge and have different labels, neither of them
    `ignore_index`: where a class borders on void, nobody knows the boundary.

    Args:
        labels: (N, H, W), integers.
        ignore_index: label of void pixels.

    Returns:
        (N, H, W), bool.
    """
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
        width: pixels on each side, >= 1.
        ignore_index: label of void pixels.

    Returns:
        (N, H, W), bool.

    Raises:
        ValueError: for `width` < 1.
    """
    if not isinstance(width, int) or width < 1:
        raise ValueError(f"width must be an integer >= 1 (pixels), got {width!r}")
    radius = width - 1
    edges = boundary_pixels(labels, ignore_index).unsqueeze(1).float()
    band = torch.zeros_like(edges)
    # Dilation by a disk, one row of the disk at a time: a row is a horizontal maximum, then a
    # shift.
    for dy in range(-min(radius, labels.shape[1] - 1), min(radius, labels.shape[1] - 1) + 1):
        reach = int((radius**2 - dy**2) ** 0.5)
        row = F.max_pool2d(edges, (1, 2 * reach + 1), stride=1, padding=(0, reach))
        length = labels.shape[1] - abs(dy)
        target = band.narrow(2, max(dy, 0), length)
        torch.maximum(target, row.narrow(2, max(-dy, 0), length), out=target)
    return band.squeeze(1).bool() & (labels != ignore_index)
