"""From the last grid of labels to the pixels of the original picture.

Part of rendering labels, see `core.label_rendering`. A pixel of the picture is a weighted sum over
a window of the grid. If all pixels of the window have the same label, so has the sum: the windows
whose labels differ are the *mixed* ones, and only in these logits are looked at.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mmseg_pointrend.core.geometry import AxisTaps, Warp, mixes_pixels, warp_map, warp_taps
from mmseg_pointrend.core.label_rendering.cells import any_of_next
from mmseg_pointrend.core.label_rendering.grid import Chosen, LabelGrid, of_regions
from mmseg_pointrend.core.pieces import piece_size
from mmseg_pointrend.core.uncertainty import two_largest


def warp_labels(grid: LabelGrid, warp: Warp, regions: Chosen) -> Tensor:
    """Warp regions of a grid, all in the same way.

    Args:
        grid: the last grid.
        warp: steps that follow.
        regions: which regions of the grid.

    Returns:
        (R, H', W'), the labels of the warped logits. Around a placed box, where all logits are 0,
        the label is 0.
    """
    labels = of_regions(regions, grid.inner_labels)
    if not mixes_pixels(warp, grid.frame.size):
        return warp_map(labels[:, None], warp)[:, 0].contiguous()
    # Taps are worked out on the CPU, where nothing has to be waited for.
    on_cpu = warp_taps(warp, grid.frame.size, grid.known.dtype)
    rows, columns = (taps.to(labels.device) for taps in on_cpu)
    mixed = _mixed_windows(labels, rows.weights.shape[2], columns.weights.shape[2])
    # The label that no class has marks a mixed window, so that one look tells both.
    mark = torch.iinfo(labels.dtype).max
    windows = labels[:, : mixed.shape[1], : mixed.shape[2]].masked_fill(mixed, mark)
    warped = _pick(_pick(windows, columns.start, 2), rows.start, 1)
    for taps, axis in zip(on_cpu, (2, 1), strict=True):
        if taps.outside.any():
            warped = warped.masked_fill(taps.outside.unsqueeze(axis).to(warped.device), 0)
    found = (warped == mark).nonzero(as_tuple=True)
    if len(found[0]):
        windows_of = _Windows(grid, regions, mixed, rows, columns)
        warped[found] = _decide_mixed(windows_of, *found)
    return warped


def _pick(maps: Tensor, index: Tensor, dim: int) -> Tensor:
    """Take rows (dim 1) or columns (dim 2) of (R, H, W) maps; (1, S) indices for all regions."""
    if len(index) == 1:
        return maps.index_select(dim, index[0])
    shape = (len(maps), -1, maps.shape[2]) if dim == 1 else (len(maps), maps.shape[1], -1)
    return maps.gather(dim, index.unsqueeze(3 - dim).expand(shape))


def _mixed_windows(labels: Tensor, height: int, width: int) -> Tensor:
    """Find the windows that hold several labels: (R, H - height + 1, W - width + 1) bool."""
    rows, columns = labels.shape[1] - height + 1, labels.shape[2] - width + 1
    mixed = torch.zeros(len(labels), rows, columns, dtype=torch.bool, device=labels.device)
    # Every row of a pure window has one label, and its first column has one.
    if width > 1:
        across = any_of_next(labels[:, :, 1:] != labels[:, :, :-1], width - 1, dim=2)
        mixed |= any_of_next(across, height, dim=1)
    if height > 1:
        down = any_of_next(labels[:, 1:] != labels[:, :-1], height - 1, dim=1)
        mixed |= down[:, :, :columns]
    return mixed


class _Windows(NamedTuple):
    """The windows of a warp: which grid they lie in, which of them are mixed, and their taps."""

    grid: LabelGrid
    regions: Chosen
    mixed: Tensor
    rows: AxisTaps
    columns: AxisTaps

    def weights(self, region: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """(P, taps): the weights of the pixels of the windows of warped pixels."""
        down = self.rows.weights[_own_or_shared(self.rows, region), y]
        right = self.columns.weights[_own_or_shared(self.columns, region), x]
        return (down[:, :, None] * right[:, None, :]).flatten(1)

    def first_pixels(self, region: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """(P,) and (P,): row and column with which the windows of warped pixels begin."""
        top = self.rows.start[_own_or_shared(self.rows, region), y]
        return top, self.columns.start[_own_or_shared(self.columns, region), x]

    def pixels(self, region: Tensor, top: Tensor, left: Tensor) -> Tensor:
        """(taps, M): flat indices of the pixels of the windows that begin at (top, left)."""
        height, width = self.rows.weights.shape[2], self.columns.weights.shape[2]
        if isinstance(self.regions, slice):
            region = region + self.regions.start
        else:
            region = self.regions[region]
        return torch.stack(
            [
                self.grid.frame.pixel(region, top + i, left + j)
                for i in range(height)
                for j in range(width)
            ]
        )


def _own_or_shared(taps: AxisTaps, region: Tensor) -> Tensor:
    return region if len(taps.start) > 1 else torch.zeros_like(region)


def _decide_mixed(windows: _Windows, region: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Decide about the warped pixels (region, y, x), (P,) each, whose windows are mixed.

    Nearly always the best class is one of the two labels of the window: then it is enough that its
    logit is larger than the sum of the second largest logits, which bounds all other classes.
    """
    # Warped pixels share windows: each window is looked at once.
    top, left = windows.first_pixels(region, y, x)
    used = torch.zeros_like(windows.mixed)
    used[region, top, left] = True
    places = used.nonzero(as_tuple=True)
    order = torch.empty(used.shape, dtype=torch.int32, device=used.device)
    order[places] = torch.arange(len(places[0]), dtype=order.dtype, device=used.device)
    window = order[region, top, left]

    pixels = windows.pixels(*places)
    logits, number = windows.grid.find_logits(pixels)
    labels = windows.grid.labels.take(pixels)
    low, high = labels.amin(0), labels.amax(0)
    flat, num_classes = logits.view(-1), logits.shape[1]
    first = number * num_classes
    # (3, taps, windows)
    values = torch.stack(
        [
            flat.take(first + low.long()),
            flat.take(first + high.long()),
            _second_largest(logits).take(number),
        ]
    )
    weights = windows.weights(region, y, x)
    # (windows, 3 taps) -> (P, 3, taps)
    values = values.permute(2, 0, 1).flatten(1).index_select(0, window)
    sums = (values.view(len(y), 3, len(pixels)) * weights[:, None]).sum(2)
    of_low, of_high, of_others = sums.unbind(1)
    decided = torch.where(of_high > of_low, high[window], low[window])
    two_labels = ((labels == low) | (labels == high)).all(0)
    sure = (torch.maximum(of_low, of_high) > of_others) & two_labels[window]
    num_taps = len(pixels)
    count = max(1, piece_size(logits.device) // (num_classes * num_taps))
    for part in (~sure).nonzero().squeeze(1).split(count):
        of_windows = logits.index_select(0, number[:, window[part]].t().flatten())
        of_windows = of_windows.view(len(part), num_taps, num_classes)
        all_sums = (weights[part][:, :, None] * of_windows).sum(1)
        decided[part] = all_sums.argmax(1).to(decided.dtype)
    return decided


def _second_largest(logits: Tensor) -> Tensor:
    """(M,): the second largest of (M, K) logits, a chunk at a time."""
    chunks = logits.split(max(1, piece_size(logits.device) // logits.shape[1]))
    return torch.cat([two_largest(chunk)[1] for chunk in chunks])
