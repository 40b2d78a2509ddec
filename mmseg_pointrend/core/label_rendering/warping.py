"""From the last grid of labels to the pixels of the original picture."""

import torch
from torch import Tensor

from mmseg_pointrend.core.geometry import AxisTaps, Resize, Warp, warp_map, warp_taps
from mmseg_pointrend.core.label_rendering.grid import CHUNK, LabelGrid


def only_indexes(warp: Warp, size: tuple[int, int]) -> bool:
    """Tell whether a warp of an (H, W) map moves pixels without mixing them."""
    for step in warp:
        if isinstance(step, Resize) and size != (step.height, step.width):
            return False
        size = (getattr(step, "height", size[0]), getattr(step, "width", size[1]))
    return True


def warp_labels(grid: LabelGrid, region: int, warp: Warp) -> Tensor:
    """Resize, crop and flip one region of a grid: the labels (H', W') of the warped logits.

    A pixel whose source pixels have the same label has that label. The others are computed.
    """
    labels = grid.inner_labels[region]
    if only_indexes(warp, grid.size):
        return warp_map(labels[None, None], warp)[0, 0].contiguous()
    rows, columns = warp_taps(warp, grid.size, grid.rows.dtype, labels.device)
    mixed = _mixed_windows(labels, rows.weights.shape[1], columns.weights.shape[1])
    # The label that no class has marks a mixed window, so that one look tells both.
    mark = torch.iinfo(labels.dtype).max
    windows = labels[: mixed.shape[0], : mixed.shape[1]].masked_fill(mixed, mark)
    warped = windows.index_select(1, columns.start).index_select(0, rows.start)
    y, x = (warped == mark).nonzero(as_tuple=True)
    if len(y):
        warped[y, x] = _decide(grid, region, mixed, rows, columns, y, x)
    return warped


def _mixed_windows(labels: Tensor, height: int, width: int) -> Tensor:
    """Find the windows that hold several labels: (H - height + 1, W - width + 1) bool."""
    rows, columns = labels.shape[0] - height + 1, labels.shape[1] - width + 1
    mixed = torch.zeros(rows, columns, dtype=torch.bool, device=labels.device)
    # Every row of a pure window has one label, and its first column has one.
    if width > 1:
        across = _any_of_next(labels[:, 1:] != labels[:, :-1], width - 1, dim=1)
        mixed |= _any_of_next(across, height, dim=0)
    if height > 1:
        mixed |= _any_of_next(labels[1:] != labels[:-1], height - 1, dim=0)[:, :columns]
    return mixed


def _any_of_next(flags: Tensor, count: int, dim: int) -> Tensor:
    """Whether any of `count` flags, one after the other along a dimension, is set."""
    length = flags.shape[dim] - count + 1
    found = flags.narrow(dim, 0, length)
    for shift in range(1, count):
        found = found | flags.narrow(dim, shift, length)
    return found


def _decide(
    grid: LabelGrid,
    region: int,
    mixed: Tensor,
    rows: AxisTaps,
    columns: AxisTaps,
    y: Tensor,
    x: Tensor,
) -> Tensor:
    """Decide about the warped pixels (y, x), (P,), whose windows are mixed.

    Nearly always the best class is one of the two labels of the window: then it is enough that its
    logit is larger than the sum of the second largest logits, which bounds all other classes.
    """
    height, width = rows.weights.shape[1], columns.weights.shape[1]
    used = torch.zeros_like(mixed)
    top, left = rows.start[y], columns.start[x]
    used[top, left] = True
    window_y, window_x = used.nonzero(as_tuple=True)
    number = torch.empty(mixed.shape, dtype=torch.int32, device=mixed.device)
    number[window_y, window_x] = torch.arange(len(window_y), dtype=torch.int32, device=y.device)
    window = number[top, left]
    # (taps, windows)
    pixels = torch.stack(
        [
            grid.pixel(region, window_y + i, window_x + j)
            for i in range(height)
            for j in range(width)
        ]
    )
    found = grid.locate(pixels)
    labels = grid.labels.take(pixels)
    low, high = labels.amin(0), labels.amax(0)
    flat, num_classes = grid.rows.view(-1), grid.rows.shape[1]
    first = found * num_classes
    values = torch.stack(
        [
            flat.take(first + low.long()),
            flat.take(first + high.long()),
            grid.second_largest().take(found),
        ]
    )
    two_labels = ((labels == low) | (labels == high)).all(0)
    weights = (rows.weights[y][:, :, None] * columns.weights[x][:, None, :]).flatten(1)
    # (windows, 3 taps) -> (pixels, 3, taps)
    values = (
        values.permute(2, 0, 1).flatten(1).index_select(0, window).view(len(y), 3, height * width)
    )
    sums = (values * weights[:, None]).sum(2)
    of_low, of_high, others = sums.unbind(1)
    decided = torch.where(of_high > of_low, high[window], low[window])
    open_ = (~(torch.maximum(of_low, of_high) > others) | ~two_labels[window]).nonzero().squeeze(1)
    for part in open_.split(max(1, CHUNK // (num_classes * height * width))):
        logits = grid.rows.index_select(0, found[:, window[part]].t().flatten())
        logits = logits.view(len(part), height * width, num_classes)
        sums = (weights[part][:, :, None] * logits).sum(1)
        decided[part] = sums.argmax(1).to(decided.dtype)
    return decided
