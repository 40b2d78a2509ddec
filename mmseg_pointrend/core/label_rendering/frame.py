"""The arithmetic of flat indices: which pixel of which region a number means.

Part of rendering labels, see `core.label_rendering`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_pointrend.core.label_rendering.cells import cell_fractions, repeat_pixels


@dataclass(frozen=True)
class Frame:
    """A grid and the frame around it.

    A grid that was enlarged s times consists of the cells of the grid before, s x s pixels in each,
    and the outermost cells reach over its edge: that is the frame. Its maps, framed, have (h + 1) s
    rows and (w + 1) s columns. The coarse grid has no cells and no frame.

    Flat indices count the pixels of the framed maps of all regions, one region after the other.

    Attributes:
        size: (H, W) of the grid, without the frame.
        scale: s; 1 for the coarse grid.
    """

    size: tuple[int, int]
    scale: int = 1

    @property
    def origin(self) -> int:
        """Width of the frame above and on the left; below and on the right it is s // 2."""
        return 0 if self.scale == 1 else self.scale - self.scale // 2

    @property
    def framed(self) -> tuple[int, int]:
        """(H', W') of the framed maps."""
        more = 0 if self.scale == 1 else self.scale
        return self.size[0] + more, self.size[1] + more

    def finer(self, scale: int) -> "Frame":
        """The frame of the grid that is `scale` times as fine."""
        return Frame((self.size[0] * scale, self.size[1] * scale), scale)

    def inner(self, maps: Tensor) -> Tensor:
        """Cut the frame off (N, H', W') maps: a view (N, H, W)."""
        (height, width), first = self.size, self.origin
        return maps[:, first : first + height, first : first + width]

    def fill(self, maps: Tensor) -> Tensor:
        """Give all pixels of a cell what its last corner has: (N, h, w) -> (N, H', W')."""
        corner = torch.cat([maps[:, :1], maps], dim=1)
        corner = torch.cat([corner[:, :, :1], corner], dim=2)
        return repeat_pixels(corner, self.scale)

    # ---- pixels ----------------------------------------------------------------------------------

    def pixel(self, region: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Flat index of the pixels (y, x), moved into the grid if they lie outside."""
        height, width = self.framed
        y = y.clamp(0, self.size[0] - 1) + self.origin
        x = x.clamp(0, self.size[1] - 1) + self.origin
        return (region * height + y) * width + x

    def split(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Region, y and x of flat indices; y and x lie outside of the grid on the frame."""
        region, y, x = _split(pixels, self.framed)
        return region, y - self.origin, x - self.origin

    def region(self, pixels: Tensor) -> Tensor:
        """Region of flat indices."""
        return pixels.div(self.framed[0] * self.framed[1], rounding_mode="floor")

    def inside(self, pixels: Tensor, num_regions: int) -> Tensor:
        """Tell which flat indices do not belong to the frame."""
        inner = torch.zeros(1, *self.framed, dtype=torch.bool, device=pixels.device)
        self.inner(inner).fill_(True)
        return inner.take(pixels if num_regions == 1 else pixels % inner.numel())

    def unframed(self, pixels: Tensor) -> Tensor:
        """Flat index of pixels in maps without the frame, moved into the grid if they lie on it."""
        region, y, x = self.split(pixels)
        y, x = y.clamp(0, self.size[0] - 1), x.clamp(0, self.size[1] - 1)
        return (region * self.size[0] + y) * self.size[1] + x

    @property
    def first_pixel(self) -> int:
        """Flat index of the first pixel of the first region."""
        return self.origin * (self.framed[1] + 1)

    def all_pixels(self, num_regions: int, device: torch.device) -> Tensor:
        """(N, H, W): the flat index of every pixel of the grid."""
        height, width = self.size
        region = torch.arange(num_regions, device=device)[:, None, None]
        y = torch.arange(height, device=device)[:, None]
        return self.pixel(region, y, torch.arange(width, device=device))

    # ---- cells of the grid before ----------------------------------------------------------------

    def corners_and_first_pixels(self, before: "Frame", cells: Tensor) -> tuple[Tensor, Tensor]:
        """Find the corners and the pixels of cells.

        Args:
            before: frame of the grid before.
            cells: (M,), flat indices in the (N, h + 1, w + 1) map of cells.

        Returns:
            (4, M), flat indices in the grid before of the corners, row by row; and (M,) flat
            indices of the first pixel in each cell, to which `cell_offsets` lead to the others.
        """
        height, width = self.framed
        region, i, j = _split(cells, (height // self.scale, width // self.scale))
        first = (region * height + i * self.scale) * width + j * self.scale
        return _corners(before, region, i, j), first

    def cell_offsets(self, device: torch.device) -> Tensor:
        """(s s, 1): from the first pixel of a cell to each of its pixels, row by row."""
        along = torch.arange(self.scale, device=device)
        return (along[:, None] * self.framed[1] + along).view(-1, 1)

    def corners_and_shares(
        self, before: "Frame", pixels: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the cells of pixels, and where in their cells they lie.

        Args:
            before: frame of the grid before.
            pixels: (M,), flat indices.
            dtype: of the shares.

        Returns:
            (4, M), flat indices in the grid before of the corners, row by row; and (M,) the shares
            of the way from the upper to the lower, and from the left to the right corners.
        """
        region, y, x = _split(pixels, self.framed)
        fractions = torch.tensor(cell_fractions(self.scale), dtype=dtype, device=pixels.device)
        i, j = (part.div(self.scale, rounding_mode="floor") for part in (y, x))
        return _corners(before, region, i, j), fractions[y % self.scale], fractions[x % self.scale]


def _split(numbers: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Region, row and column of flat indices of (N, *size) maps."""
    height, width = size
    row = numbers.div(width, rounding_mode="floor")
    return row.div(height, rounding_mode="floor"), row % height, numbers % width


def _corners(before: Frame, region: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """(4, M): the pixels (i - 1, j - 1), (i - 1, j), (i, j - 1) and (i, j) of the grid before."""
    sides = torch.arange(-1, 1, device=i.device)[:, None]
    y = (i + sides).clamp(0, before.size[0] - 1) + before.origin
    x = (j + sides).clamp(0, before.size[1] - 1) + before.origin
    first = (region * before.framed[0] + y) * before.framed[1]
    return (first[:, None] + x).flatten(0, 1)
