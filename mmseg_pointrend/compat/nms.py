"""Non-maximum suppression in plain torch, in the place of mmcv's compiled op `nms`.

Upstream: mmcv 2.1.0, whose detectors need it and whose mmcv-lite has none. It can go when mmcv
offers one without compiling.
"""

import torch
from torch import Tensor

#: Boxes that are compared with all later ones at a time: a matrix of so many rows is held, and of
#: these few enough that it stays in a CPU's cache.
_BLOCK = 256


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Keep boxes that overlap no better one too much.

    By falling score, a box is kept unless its IoU with one that was kept is above the threshold.
    There is no loop over boxes: within a block, what is kept follows from what is kept by the same
    rule again, until nothing changes; after as many turns as the longest chain of boxes, each of
    which decides on the next.

    Args:
        boxes: (N, 4), left, top, right, bottom.
        scores: (N,); of equal ones the earlier box counts as better.
        iou_threshold: IoU above which the worse box goes.
        offset: 1 for boxes whose right and bottom pixels belong to them, else 0.

    Returns:
        (M,), int64, the indices of boxes that stay, best first.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes = boxes[order]
    keep = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    for first in range(0, len(boxes), _BLOCK):
        block = slice(first, first + _BLOCK)
        above = _iou(boxes[block], boxes[first:], offset) > iou_threshold
        inside = above[:, : len(boxes[block])].triu(1)
        kept = keep[block] & ~_any_row(inside, keep[block])
        while True:
            again = keep[block] & ~_any_row(inside, kept)
            if torch.equal(again, kept):
                break
            kept = again
        keep[block] = kept
        rest = slice(first + _BLOCK, None)
        keep[rest] &= ~_any_row(above[:, len(kept) :], kept)
    return order[keep]


def _any_row(matrix: Tensor, rows: Tensor) -> Tensor:
    """Tell for each column whether it is true in any of the chosen rows."""
    return matrix[rows].any(0)


def _iou(boxes: Tensor, others: Tensor, offset: int) -> Tensor:
    """IoU of (N, 4) with (M, 4) boxes: (N, M); NaN for two that are empty."""
    # One coordinate at a time: torch is several times slower along a last dimension of two.
    (left, top, right, bottom), theirs = boxes.T[..., None], others.T[:, None]
    width = torch.minimum(right, theirs[2]).sub_(torch.maximum(left, theirs[0]))
    height = torch.minimum(bottom, theirs[3]).sub_(torch.maximum(top, theirs[1]))
    shared = width.add_(offset).clamp_(min=0).mul_(height.add_(offset).clamp_(min=0))
    one, other = ((found[:, 2:] - found[:, :2] + offset).prod(1) for found in (boxes, others))
    return shared / (one[:, None] + other[None]).sub_(shared)
