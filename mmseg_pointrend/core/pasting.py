"""Masks of boxes in their picture, at its own pixels."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pointrend.core.decision import THRESHOLD
from mmseg_pointrend.core.pieces import is_recorded, piece_size
from mmseg_pointrend.core.shapes import check_same_first, check_shape

#: Bytes of a piece of work on a CPU, one for each pixel.
_CACHE = 1 << 18
#: Floats for each pixel of a window: its place in the box, and what is read there.
_FLOATS = 4


@torch.no_grad()
def paste_masks(
    probabilities: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float = THRESHOLD
) -> Tensor:
    """Put the mask of each box where the box lies in its picture, and decide.

    The probabilities are read bilinearly at the pixels' centres, as if they were surrounded by
    zeros: what `Place` does, but only where a box is, and with the decision at once.

    Args:
        probabilities: (R, h, w).
        boxes: (R, 4), (left, top, right, bottom) in pixels of the picture; pixel i covers
            [i, i + 1]. Sides may lie between pixels and outside of the picture. A box without
            width or height, or with a side that is not finite, covers no pixel.
        size: (H, W) of the picture.
        threshold: the probability from which on a pixel belongs to the mask, > 0.

    Returns:
        (R, H, W), bool.

    Raises:
        ValueError: for shapes other than these, or a threshold that is not above 0.

    Example:
        >>> mask = torch.ones(1, 2, 2)
        >>> paste_masks(mask, torch.tensor([[1.0, 0.0, 3.0, 1.0]]), size=(1, 4)).int()
        tensor([[[0, 1, 1, 0]]], dtype=torch.int32)
    """
    check_shape("probabilities", probabilities, "(R, h, w)")
    check_shape("boxes", boxes, "(R, 4)")
    check_same_first("probabilities", probabilities, "boxes", boxes)
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, got {threshold}")
    probabilities = probabilities.to(torch.promote_types(probabilities.dtype, torch.float32))
    paste = _paste_lines if boxes.device.type == "cpu" else _paste_windows
    return paste(probabilities, boxes, size, threshold)


def _paste_windows(
    probabilities: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float
) -> Tensor:
    """Decide about windows of one size around the boxes, all at once: for accelerators.

    One number is asked for, how large the largest window is.
    """
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool, device=boxes.device)
    boxes = boxes.to(probabilities.dtype)
    covers = (
        (boxes[:, 2:] > boxes[:, :2]) & boxes[:, :2].isfinite() & boxes[:, 2:].isfinite()
    ).all(1, keepdim=True)
    # What covers nothing lies far outside of the picture.
    boxes = boxes.masked_fill(~covers, -2.0)
    # The map fades over half of its pixels beyond the box.
    fade = (boxes[:, 2:] - boxes[:, :2]) / (2 * min(probabilities.shape[1:])) + 1
    first, behind = (boxes[:, :2] - fade).floor(), (boxes[:, 2:] + fade).ceil()
    sides = (size[1], size[0])
    if len(boxes) and not is_recorded(boxes.device):
        largest = (behind - first).amax(0).tolist()
        sides = (int(min(size[1], largest[0])), int(min(size[0], largest[1])))
    count = max(1, piece_size(boxes.device) // max(1, _FLOATS * sides[0] * sides[1]))
    for part in (slice(i, i + count) for i in range(0, len(boxes), count)):
        axes = []
        for axis, side in enumerate(sides):
            start = first[part, axis, None].clamp(0, size[1 - axis] - side)
            pixels = start + torch.arange(side, device=boxes.device)
            low, high = boxes[part, axis, None], boxes[part, axis + 2, None]
            # -1 and 1 are the sides of the box.
            place = ((pixels - (low - 0.5)) / (high - low)).mul_(2).sub_(1).clamp_(-2, 2)
            axes.append((pixels.long(), place.masked_fill_(~covers[part], -2)))
        (columns, x), (rows, y) = axes
        shape = (len(rows), rows.shape[1], columns.shape[1])
        grid = torch.stack([x[:, None].expand(shape), y[:, :, None].expand(shape)], dim=3)
        found = F.grid_sample(probabilities[part, None], grid, align_corners=False)[:, 0]
        box = torch.arange(len(rows), device=boxes.device)[:, None, None]
        masks[part][box, rows[:, :, None], columns[:, None]] = found >= threshold
    return masks


def _paste_lines(
    probabilities: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float
) -> Tensor:
    """Decide about the pixels that lie in the boxes, some lines of them at a time: for CPUs."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool, device=boxes.device)
    rows = _lines(boxes, 1, size[0], probabilities)
    columns = _lines(boxes, 0, size[1], probabilities)
    # Rows first: (lines, w).
    values = rows.blend(probabilities[rows.box, rows.low], probabilities[rows.box, rows.high])
    counts, starts = columns.counts[rows.box], columns.starts[rows.box]
    count = max(1, piece_size(boxes.device, 1, _CACHE) // size[1])
    for part in torch.arange(len(values), device=boxes.device).split(count):
        row = part.repeat_interleave(counts[part])
        behind = counts[part].cumsum(0) - counts[part]
        along = torch.arange(len(row), device=row.device)
        column = along + (starts[part] - behind).repeat_interleave(counts[part])
        across = columns.pick(column)
        first = row * values.shape[1]
        flat = values.view(-1)
        found = across.low_share * flat.take(first + across.low)
        found += across.high_share * flat.take(first + across.high)
        place = (rows.box[row] * size[0] + rows.pixel[row]) * size[1] + across.pixel
        masks.view(-1)[place] = found >= threshold
    return masks


class _Lines(NamedTuple):
    """Rows or columns of the picture that lie in boxes, those of the first box first.

    Attributes:
        box: (L,), of which box.
        pixel: (L,), which row or column of the picture.
        low: (L,), the line of the box's map before its centre; within the map.
        high: (L,), the one behind it.
        low_share: (L,), what `low` counts; 0 outside of the map.
        high_share: (L,).
        counts: (R,), how many lines a box has.
        starts: (R,), how many come before them.
    """

    box: Tensor
    pixel: Tensor
    low: Tensor
    high: Tensor
    low_share: Tensor
    high_share: Tensor
    counts: Tensor
    starts: Tensor

    def blend(self, low: Tensor, high: Tensor) -> Tensor:
        """Mix (L, ...) values before and behind the lines."""
        return self.low_share[:, None] * low + self.high_share[:, None] * high

    def pick(self, index: Tensor) -> "_Lines":
        """Take some lines."""
        box, pixel, low, high, low_share, high_share = (values[index] for values in self[:6])
        return _Lines(box, pixel, low, high, low_share, high_share, self.counts, self.starts)


def _lines(boxes: Tensor, axis: int, size: int, probabilities: Tensor) -> _Lines:
    """Find the lines in boxes, columns (axis 0) or rows (axis 1), of which there are `size`."""
    length = probabilities.shape[2 - axis]
    first, last = boxes[:, axis].to(probabilities.dtype), boxes[:, axis + 2].to(probabilities.dtype)
    there = (boxes[:, 2:] > boxes[:, :2]).all(1) & boxes.isfinite().all(1)
    # The map fades over half of its pixels beyond the box.
    fade = (last - first) / (2 * length) + 1
    start = (first - fade).masked_fill(~there, 0).clamp(0, size).floor().long()
    stop = (last + fade).masked_fill(~there, 0).clamp(0, size).ceil().long()
    counts = stop - start
    starts = counts.cumsum(0) - counts
    box = torch.arange(len(boxes), device=boxes.device).repeat_interleave(counts)
    pixel = torch.arange(len(box), device=boxes.device) - (starts - start)[box]
    inside = (pixel.to(first.dtype) + 0.5 - first[box]) / (last - first)[box]
    position = (inside * length - 0.5).clamp(-1, length)
    before = position.floor()
    share = position - before
    low, high = before.long(), before.long() + 1
    return _Lines(
        box,
        pixel,
        low.clamp(0, length - 1),
        high.clamp(0, length - 1),
        (1 - share) * ((low >= 0) & (low < length)),
        share * ((high >= 0) & (high < length)),
        counts,
        starts,
    )
