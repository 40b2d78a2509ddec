"""Cells: the squares between four neighbouring pixels of a grid, which a finer grid fills.

Part of rendering labels, see `core.label_rendering`. Cell (i, j) of an (h, w) grid lies between the
pixels (i - 1, j - 1) and (i, j), so there are (h + 1, w + 1) of them; the outermost repeat the
edge. Enlarging s times puts s x s pixels in every cell.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class MixedCells(NamedTuple):
    """The cells whose corners differ.

    Attributes:
        flags: (N, h + 1, w + 1) bool.
        cells: (M,), flat indices of those that are set.
    """

    flags: Tensor
    cells: Tensor

    @property
    def share(self) -> float:
        """Part of all cells, in [0, 1]."""
        return len(self.cells) / self.flags.numel()


def mixed_cells(labels: Tensor) -> MixedCells:
    """Find the cells whose corners differ, given the (N, h, w) labels of a grid."""
    num_regions, height, width = labels.shape
    mixed = torch.zeros(num_regions, height + 1, width + 1, dtype=torch.bool, device=labels.device)
    across = labels[:, :, 1:] != labels[:, :, :-1]
    mixed[:, 1:, 1:-1] |= across
    mixed[:, :-1, 1:-1] |= across
    down = labels[:, 1:] != labels[:, :-1]
    mixed[:, 1:-1, 1:] |= down
    mixed[:, 1:-1, :-1] |= down
    return MixedCells(mixed, mixed.flatten().nonzero().squeeze(1))


def cell_fractions(scale: int) -> list[float]:
    """Where the `scale` pixels of a cell lie between its corners, from 0 to below 1.

    Enlarging s times puts pixel i at (i + 0.5) / s - 0.5 of the grid before. The cell between the
    pixels c and c + 1 gets those from s c + ceil((s - 1) / 2) on.
    """
    first = scale // 2
    return [(first + t + 0.5) / scale - 0.5 for t in range(scale)]


def enlarge_cells(corners: Tensor, scale: int) -> Tensor:
    """Interpolate within cells: corners (4, M, K), row by row -> (scale, scale, M, K) pixels.

    Not a matrix product, which autocast and TF32 would round.
    """
    fractions = cell_fractions(scale)
    pixels = corners.new_empty(scale, scale, *corners.shape[1:])
    for j, share_x in enumerate(fractions):
        upper = torch.lerp(corners[0], corners[1], share_x)
        lower = torch.lerp(corners[2], corners[3], share_x)
        for i, share_y in enumerate(fractions):
            torch.lerp(upper, lower, share_y, out=pixels[i, j])
    return pixels


def repeat_pixels(maps: Tensor, scale: int) -> Tensor:
    """Repeat every pixel of (N, H, W) maps `scale` times along both axes."""
    num_regions, height, width = maps.shape
    wide = maps[..., None].expand(-1, -1, -1, scale).reshape(num_regions, height, 1, -1)
    return wide.expand(-1, -1, scale, -1).reshape(num_regions, height * scale, width * scale)


def any_of_next(flags: Tensor, count: int, dim: int) -> Tensor:
    """Whether any of `count` flags, one after the other along a dimension, is set."""
    length = flags.shape[dim] - count + 1
    found = flags.narrow(dim, 0, length)
    for shift in range(1, count):
        found = found | flags.narrow(dim, shift, length)
    return found
