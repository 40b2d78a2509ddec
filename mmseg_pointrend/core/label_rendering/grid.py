"""A grid of labels that knows the logits of some of its pixels, and can find out the others.

Part of rendering labels, see `core.label_rendering`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmseg_pointrend.core.uncertainty import two_largest

#: Floats that one chunk of work may hold: few enough to stay in a cache of some megabytes.
CHUNK = 1 << 20


class LabelGrid:
    """One grid of a rendering: the labels of all its pixels, and logits of those that asked for it.

    The maps have a frame around the grid, because cells reach over its edge; `origin` is the
    frame's width above and on the left. Flat indices count the pixels of the framed maps of all
    regions, one region after the other.

    Attributes:
        size: (H, W), without the frame.
        labels: (N, H', W'), framed, the smallest integer type that holds K classes.
        bounds: (N, H, W), no frame: lower bounds of the logit margins.
        rows: (M, K), logits of some pixels.
        row_of: (N H' W') int32, a pixel's row, or -1; None if pixel i has row i.
        parent: the grid that this one was interpolated from; None for the coarse one.
        scale: how much finer it is than its parent.
    """

    def __init__(
        self,
        size: tuple[int, int],
        labels: Tensor,
        bounds: Tensor | None = None,
        rows: Tensor | None = None,
        row_of: Tensor | None = None,
        origin: int = 0,
        parent: LabelGrid | None = None,
        scale: int = 1,
    ) -> None:
        self.size, self.origin = size, origin
        self.labels, self.bounds = labels, bounds
        self.rows, self.row_of = rows, row_of
        self.parent, self.scale = parent, scale

    @classmethod
    def dense(cls, logits: Tensor) -> LabelGrid:
        """Make a grid from the logits of all its pixels, (N, K, H, W)."""
        num_classes = logits.shape[1]
        rows = logits.permute(0, 2, 3, 1).reshape(-1, num_classes).contiguous()
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        largest, second, label = two_largest(rows)
        shape = (len(logits), *logits.shape[2:])
        return cls(
            size=shape[1:],
            labels=label.to(label_dtype(num_classes)).view(shape),
            bounds=(largest - second).view(shape),
            rows=rows,
        )

    def inner(self, framed: Tensor) -> Tensor:
        """Cut the frame off (N, H', W') maps: a view (N, H, W)."""
        (height, width), first = self.size, self.origin
        return framed[:, first : first + height, first : first + width]

    @property
    def inner_labels(self) -> Tensor:
        """(N, H, W): the labels without the frame, a view."""
        return self.inner(self.labels)

    def pixel(self, region: Tensor | int, y: Tensor, x: Tensor) -> Tensor:
        """Flat index of the pixels (y, x), moved into the grid if they lie outside."""
        framed_height, framed_width = self.labels.shape[1:]
        y = y.clamp(0, self.size[0] - 1) + self.origin
        x = x.clamp(0, self.size[1] - 1) + self.origin
        return (region * framed_height + y) * framed_width + x

    def split(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Region, y and x of flat indices; y and x lie outside of the grid on the frame."""
        framed_height, framed_width = self.labels.shape[1:]
        y = pixels.div(framed_width, rounding_mode="floor")
        region = y.div(framed_height, rounding_mode="floor")
        return region, y % framed_height - self.origin, pixels % framed_width - self.origin

    def inside(self, pixels: Tensor) -> Tensor:
        """Tell which flat indices do not belong to the frame."""
        _, y, x = self.split(pixels)
        return (y >= 0) & (y < self.size[0]) & (x >= 0) & (x < self.size[1])

    def set_rows(self, pixels: list[Tensor], rows: list[Tensor]) -> None:
        """Set the logits (M_i, K) of pixels (M_i,); of a pixel named twice the last count."""
        self.rows = torch.cat(rows)
        self.row_of = torch.full(
            (self.labels.numel(),), -1, dtype=torch.int32, device=self.rows.device
        )
        numbers = torch.arange(len(self.rows), dtype=torch.int32, device=self.rows.device)
        for part, numbers_of_part in zip(
            pixels, numbers.split([len(part) for part in pixels]), strict=True
        ):
            self.row_of[part] = numbers_of_part

    def locate(self, pixels: Tensor) -> Tensor:
        """Find the rows of the logits of pixels, computing those that are missing.

        Args:
            pixels: flat indices, any shape.

        Returns:
            Indices into `rows`, same shape.
        """
        if self.row_of is None:
            return pixels
        found = self.row_of.take(pixels)
        missing = pixels[found < 0]
        if missing.numel():
            missing = missing.unique()
            numbers = torch.arange(len(missing), dtype=torch.int32, device=missing.device)
            self.row_of[missing] = numbers + len(self.rows)
            self.rows = torch.cat([self.rows, interpolate(self.parent, self, missing)])
            found = self.row_of.take(pixels)
        return found.long()

    def logits(self, pixels: Tensor) -> Tensor:
        """Read the logits of pixels: (...,) flat indices -> (..., K)."""
        found = self.locate(pixels)
        return self.rows.index_select(0, found.flatten()).view(*pixels.shape, self.rows.shape[1])

    def second_largest(self) -> Tensor:
        """(M,): the second largest logit of each row."""
        return two_largest(self.rows)[1]

    def dense_logits(self) -> Tensor:
        """Compute the logits of all pixels: (N, K, H, W)."""
        height, width = self.size
        device = self.labels.device
        region = torch.arange(len(self.labels), device=device)[:, None, None]
        y = torch.arange(height, device=device)[:, None]
        return self.logits(self.pixel(region, y, torch.arange(width, device=device))).permute(
            0, 3, 1, 2
        )


def label_dtype(num_classes: int) -> torch.dtype:
    """Choose the smallest integer type that holds K labels and a mark beside them."""
    if num_classes < 255:
        return torch.uint8
    return torch.int16 if num_classes < 2**15 - 1 else torch.int32


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


def interpolate(parent: LabelGrid, grid: LabelGrid, pixels: Tensor) -> Tensor:
    """Compute the logits (M, K) of single pixels of a grid from the corners of their cells."""
    framed_height, framed_width = grid.labels.shape[1:]
    x, y = pixels % framed_width, pixels.div(framed_width, rounding_mode="floor")
    region, y = y.div(framed_height, rounding_mode="floor"), y % framed_height
    scale, dtype = grid.scale, parent.rows.dtype
    fractions = torch.tensor(cell_fractions(scale), dtype=dtype, device=pixels.device)
    share_y, share_x = fractions[y % scale][:, None], fractions[x % scale][:, None]
    top, left = y.div(scale, rounding_mode="floor") - 1, x.div(scale, rounding_mode="floor") - 1
    corners = torch.stack([parent.pixel(region, top + i, left + j) for i in (0, 1) for j in (0, 1)])
    corners = parent.locate(corners)
    rows = parent.rows.new_empty(len(pixels), parent.rows.shape[1])
    chunk = max(1, CHUNK // (8 * rows.shape[1]))
    for first in range(0, len(pixels), chunk):
        part = slice(first, first + chunk)
        rows[part] = _blend(parent.rows, corners[:, part], share_y[part], share_x[part])
    return rows


def _blend(rows: Tensor, corners: Tensor, share_y: Tensor, share_x: Tensor) -> Tensor:
    top_left, top_right, left, right = (rows.index_select(0, corner) for corner in corners)
    upper = torch.lerp(top_left, top_right, share_x)
    return torch.lerp(upper, torch.lerp(left, right, share_x), share_y)


def mixed_cells(labels: Tensor) -> Tensor:
    """Find the cells whose corners differ: (N, H, W) labels -> (N, H + 1, W + 1) bool.

    Cell (i, j) lies between the pixels (i - 1, j - 1) and (i, j); the outermost repeat the edge.
    """
    num_regions, height, width = labels.shape
    mixed = torch.zeros(num_regions, height + 1, width + 1, dtype=torch.bool, device=labels.device)
    across = labels[:, :, 1:] != labels[:, :, :-1]
    mixed[:, 1:, 1:-1] |= across
    mixed[:, :-1, 1:-1] |= across
    down = labels[:, 1:] != labels[:, :-1]
    mixed[:, 1:-1, 1:] |= down
    mixed[:, 1:-1, :-1] |= down
    return mixed


def repeat_pixels(maps: Tensor, scale: int) -> Tensor:
    """Repeat every pixel of (N, H, W) maps `scale` times along both axes."""
    num_regions, height, width = maps.shape
    wide = maps[..., None].expand(-1, -1, -1, scale).reshape(num_regions, height, 1, -1)
    return wide.expand(-1, -1, scale, -1).reshape(num_regions, height * scale, width * scale)
