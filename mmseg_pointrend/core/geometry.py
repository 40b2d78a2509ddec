"""What happens to a map between the network's grid and the original picture's pixels.

A prediction is resized to the network's input, freed of padding, flipped back and resized to the
original picture; that of a box is placed in its picture. Each of these is a `Step`. They act on
rows and columns separately, and their composition, a `Warp`, is a short weighted sum per axis:
pixel y of the result is the sum over t of `weights[y, t]` times pixel `start[y] + t` of the source.
The weights are not negative. They sum to one, or to less where a placed box ends.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pointrend.core.shapes import check_same_first, check_shape

Size = tuple[int, int]


@dataclass(frozen=True)
class AxisTaps:
    """A warp along one axis, see the top of this file.

    Attributes:
        start: (R, S) int64, the first source pixel of each result pixel; R is 1 if all regions have
            the same.
        weights: (R, S, T).
    """

    start: Tensor
    weights: Tensor

    @property
    def outside(self) -> Tensor:
        """(R, S), bool: where no source pixel counts."""
        return (self.weights == 0).all(2)

    def to(self, device: torch.device | str) -> "AxisTaps":
        """The same on a device."""
        return AxisTaps(self.start.to(device), self.weights.to(device))


class Step(ABC):
    """One thing that happens to a map: it applies itself, sizes itself, and gives its taps."""

    @abstractmethod
    def apply(self, values: Tensor) -> Tensor:
        """Apply the step to (N, C, h, w) maps."""

    @abstractmethod
    def result_size(self, size: Size) -> Size:
        """Size (H, W) of the result, given that of the map."""

    @abstractmethod
    def compose(self, taps: AxisTaps, axis: int) -> AxisTaps:
        """Let the step follow on what has happened along axis 0 (y) or 1 (x)."""

    def mixes(self, size: Size) -> bool:
        """Whether pixels of the result mix several pixels of a map of that size."""
        return False

    def move(self, points: Tensor, size: Size) -> Tensor:
        """Find points, (..., 2) in [0, 1] of a map of that size, again in the result.

        Those that the result does not hold are outside of [0, 1].
        """
        return points

    def of_regions(self, regions: Tensor | slice, num_regions: int) -> "Step":
        """The step for some of the regions, (R,) or a slice, which there are `num_regions` of."""
        return self


@dataclass(frozen=True)
class Resize(Step):
    """Resize bilinearly to (height, width); a map that has the size is left alone.

    Pixel centres are at (i + 0.5) / S. `align_corners` is for logits of models that are built that
    way; nothing in this project is.

    Example:
        >>> Resize(1, 4).apply(torch.tensor([[[[0.0, 4.0]]]]))
        tensor([[[[0., 1., 3., 4.]]]])
    """

    height: int
    width: int
    align_corners: bool = False

    def apply(self, values: Tensor) -> Tensor:
        """Resize (N, C, h, w) maps."""
        size = (self.height, self.width)
        if values.shape[2:] == size:
            return values
        return F.interpolate(values, size=size, mode="bilinear", align_corners=self.align_corners)

    def result_size(self, size: Size) -> Size:
        """(height, width), whatever the map's size."""
        return self.height, self.width

    def compose(self, taps: AxisTaps, axis: int) -> AxisTaps:
        """Interpolate between the results of the taps."""
        count, size = taps.start.shape[1], (self.height, self.width)[axis]
        if count == size:
            return taps
        dtype = taps.weights.dtype
        position = torch.arange(size, dtype=dtype)
        if self.align_corners:
            position = position * (torch.tensor(count - 1, dtype=dtype) / max(size - 1, 1))
        else:
            scale = torch.tensor(count, dtype=dtype) / size
            position = ((position + 0.5) * scale - 0.5).clamp(min=0)
        low = position.long().clamp(max=count - 1)
        share = position - low
        return _blend(taps, (low, low + 1), (1 - share, share))

    def move(self, points: Tensor, size: Size) -> Tensor:
        """Keep their places; with `align_corners`, as the outermost pixels' centres keep theirs."""
        if not self.align_corners or size == (self.height, self.width):
            return points
        before = points.new_tensor([size[1], size[0]])
        after = points.new_tensor([self.width, self.height])
        scale = (after - 1) / (before - 1).clamp(min=1)
        return ((points * before - 0.5) * scale + 0.5) / after

    def mixes(self, size: Size) -> bool:
        """Whether the map has another size."""
        return size != (self.height, self.width)


@dataclass(frozen=True)
class Crop(Step):
    """Cut out `height` rows from `top` on and `width` columns from `left` on.

    Example:
        >>> Crop(top=0, left=1, height=1, width=2).apply(torch.arange(4.0).view(1, 1, 1, 4))
        tensor([[[[1., 2.]]]])
    """

    top: int
    left: int
    height: int
    width: int

    def apply(self, values: Tensor) -> Tensor:
        """Cut (N, C, h, w) maps: a view."""
        return values[:, :, self.top : self.top + self.height, self.left : self.left + self.width]

    def result_size(self, size: Size) -> Size:
        """(height, width), whatever the map's size."""
        return self.height, self.width

    def compose(self, taps: AxisTaps, axis: int) -> AxisTaps:
        """Keep the taps of the pixels that stay."""
        first, count = ((self.top, self.height), (self.left, self.width))[axis]
        return AxisTaps(
            taps.start[:, first : first + count], taps.weights[:, first : first + count]
        )

    def move(self, points: Tensor, size: Size) -> Tensor:
        """Count from the corner of what is cut out, in its size."""
        height, width = size
        x, y = points.unbind(-1)
        return torch.stack(
            [(x * width - self.left) / self.width, (y * height - self.top) / self.height], dim=-1
        )


@dataclass(frozen=True)
class Flip(Step):
    """Mirror: "horizontal" swaps left and right, "vertical" top and bottom.

    Raises:
        ValueError: for another direction.

    Example:
        >>> Flip("horizontal").apply(torch.arange(3.0).view(1, 1, 1, 3))
        tensor([[[[2., 1., 0.]]]])
    """

    direction: str

    def __post_init__(self) -> None:
        if self.direction not in ("horizontal", "vertical"):
            raise ValueError(
                f"flip_direction must be horizontal or vertical, got {self.direction!r}"
            )

    @property
    def axis(self) -> int:
        """0 for y, 1 for x."""
        return 1 if self.direction == "horizontal" else 0

    def apply(self, values: Tensor) -> Tensor:
        """Mirror (N, C, h, w) maps."""
        return values.flip(2 + self.axis)

    def result_size(self, size: Size) -> Size:
        """The map's size."""
        return size

    def compose(self, taps: AxisTaps, axis: int) -> AxisTaps:
        """Turn the order of the taps round."""
        return AxisTaps(taps.start.flip(1), taps.weights.flip(1)) if axis == self.axis else taps

    def move(self, points: Tensor, size: Size) -> Tensor:
        """Count from the other side."""
        x, y = points.unbind(-1)
        return torch.stack([x, 1 - y] if self.axis == 0 else [1 - x, y], dim=-1)


@dataclass(frozen=True, eq=False)
class Place(Step):
    """Put the map of each region where its box lies in a picture; around it there is 0.

    The map is read bilinearly at the picture's pixel centres and, as `point_sample` does, as if it
    were surrounded by zeros: over the half pixel of the map along the box's edges it fades. A
    resize at real-valued sides, so to say.

    Attributes:
        boxes: (R, 4), (left, top, right, bottom) of each region in pixels of the picture, or (1, 4)
            for all of them; pixel i covers [i, i + 1]. Sides may lie between pixels and outside of
            the picture. A box without width or height covers no pixel.
        height: of the picture.
        width: of the picture.

    Raises:
        ValueError: for boxes of another shape.

    Example:
        >>> place = Place(torch.tensor([[1.0, 0.0, 3.0, 1.0]]), height=1, width=4)
        >>> place.apply(torch.tensor([[[[5.0, 7.0]]]]))
        tensor([[[[0., 5., 7., 0.]]]])
    """

    boxes: Tensor
    height: int
    width: int

    def __post_init__(self) -> None:
        check_shape("boxes", self.boxes, "(R, 4)")

    def apply(self, values: Tensor) -> Tensor:
        """Place (R, C, h, w) maps: (R, C, height, width)."""
        if len(self.boxes) != 1:
            check_same_first("values", values, "boxes", self.boxes)
        # What `grid_sample` calls a coordinate: -1 and 1 are the edges of the map.
        # In half precision it would be off by whole pixels on a large picture.
        dtype = torch.promote_types(values.dtype, torch.float32)
        y, x = (2 * self._in_box(axis, dtype, values.device) - 1 for axis in (0, 1))
        shape = (len(values), self.height, self.width)
        grid = torch.stack([x[:, None].expand(shape), y[:, :, None].expand(shape)], dim=3)
        placed = F.grid_sample(values.to(dtype), grid, padding_mode="zeros", align_corners=False)
        return placed.to(values.dtype)

    def result_size(self, size: Size) -> Size:
        """(height, width), whatever the map's size."""
        return self.height, self.width

    def compose(self, taps: AxisTaps, axis: int) -> AxisTaps:
        """Interpolate between the results of the taps, and zeros around them."""
        count, weights = taps.start.shape[1], taps.weights
        position = self._in_box(axis, weights.dtype, weights.device) * count - 0.5
        low = position.floor()
        share = position - low
        numbers = (low.long(), low.long() + 1)
        shares = tuple(
            torch.where((number >= 0) & (number < count), part, 0)
            for number, part in zip(numbers, (1 - share, share), strict=True)
        )
        return _blend(taps, numbers, (shares[0], shares[1]))

    def mixes(self, size: Size) -> bool:
        """It may always."""
        return True

    def move(self, points: Tensor, size: Size) -> Tensor:
        """Find the points of each region, (R, P, 2), in the picture."""
        boxes = self.boxes.to(points)[:, None]
        sides = points.new_tensor([self.width, self.height])
        return (boxes[..., :2] + points * (boxes[..., 2:] - boxes[..., :2])) / sides

    def of_regions(self, regions: Tensor | slice, num_regions: int) -> "Place":
        """Take the boxes of some of the regions.

        Raises:
            ValueError: if there are neither as many boxes as regions nor one.
        """
        if len(self.boxes) == 1:
            return self
        if len(self.boxes) != num_regions:
            raise ValueError(f"{num_regions} regions need as many boxes, got {len(self.boxes)}")
        if isinstance(regions, Tensor):
            regions = regions.to(self.boxes.device)
        return Place(self.boxes[regions], self.height, self.width)

    def _in_box(self, axis: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Where the picture's pixel centres lie in the boxes, [0, 1] being a box: (R, S).

        What is far outside counts as twice a box away: the division may overflow.
        """
        boxes = self.boxes.to(device, dtype)
        first, last = boxes[:, 1 - axis, None], boxes[:, 3 - axis, None]
        size = (self.height, self.width)[axis]
        centers = torch.arange(size, dtype=dtype, device=device) + 0.5
        found = ((centers - first) / (last - first)).clamp(-2, 3)
        return found.masked_fill(first == last, -2)


Warp = Sequence[Step]


def warp_map(values: Tensor, warp: Warp) -> Tensor:
    """Apply steps one after the other to (N, C, H, W) maps.

    Raises:
        ValueError: for maps of another shape.

    Example:
        >>> warp_map(torch.arange(4.0).view(1, 1, 1, 4), [Crop(0, 0, 1, 2), Flip("horizontal")])
        tensor([[[[1., 0.]]]])
    """
    check_shape("values", values, "(N, C, H, W)")
    for number, step in enumerate(warp):
        if number and torch.compiler.is_compiling():
            # A view of itself, for which a compiler has to store it: of two resizes it would
            # otherwise compute the first one anew for each pixel of the second.
            values = values.as_strided(values.shape, values.stride())
        values = step.apply(values)
    return values


def warp_size(size: Size, warp: Warp) -> Size:
    """Size (H, W) of what becomes of a map of that size.

    Example:
        >>> warp_size((4, 6), [Crop(0, 0, 2, 3), Flip("vertical")])
        (2, 3)
    """
    for step in warp:
        size = step.result_size(size)
    return size


def warp_points(points: Tensor, size: Size, warp: Warp) -> Tensor:
    """Find points of a map again in what becomes of it.

    Args:
        points: (..., 2), x and y in [0, 1] of the map; (R, P, 2) if the warp has a `Place`.
        size: (H, W) of the map.
        warp: the steps.

    Returns:
        points in [0, 1] of the result; outside of it for those that were cut off.

    Raises:
        ValueError: for points of another shape.

    Example:
        >>> warp_points(torch.tensor([[0.25, 0.5]]), (4, 8), [Crop(0, 1, 4, 4), Resize(9, 9)])
        tensor([[0.2500, 0.5000]])
    """
    if points.dim() < 1 or points.shape[-1] != 2:
        raise ValueError(f"points must have shape (..., 2), got {tuple(points.shape)}")
    for step in warp:
        points, size = step.move(points, size), step.result_size(size)
    return points


def mixes_pixels(warp: Warp, size: Size) -> bool:
    """Whether a warp of an (H, W) map mixes pixels, or only moves them.

    Example:
        >>> mixes_pixels([Flip("vertical"), Resize(2, 3)], (2, 3))
        False
    """
    for step in warp:
        if step.mixes(size):
            return True
        size = step.result_size(size)
    return False


def warp_taps(
    warp: Warp, size: Size, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> tuple[AxisTaps, AxisTaps]:
    """Compose a warp of an (H, W) map into one weighted sum along y and one along x.

    Args:
        warp: the steps.
        size: (H, W) of the source.
        dtype: of the weights. Coordinates are computed in it, too, as `F.interpolate` does.
        device: of the result.

    Example:
        >>> rows, columns = warp_taps([Resize(1, 4)], (1, 2), torch.float32)
        >>> columns.start.tolist(), columns.weights[0, 1].tolist()
        ([[0, 0, 0, 0]], [0.75, 0.25])
    """
    axes = []
    for axis in (0, 1):
        start, weights = torch.arange(size[axis]), torch.ones(size[axis], 1, dtype=dtype)
        taps = AxisTaps(start[None], weights[None])
        for step in warp:
            taps = step.compose(taps, axis)
        taps = _inside(taps, size[axis])
        axes.append(taps.to(device))
    return axes[0], axes[1]


def _blend(
    taps: AxisTaps, numbers: tuple[Tensor, Tensor], shares: tuple[Tensor, Tensor]
) -> AxisTaps:
    """Mix two results of `taps`, (R, S) or (S,) of them, each with its share."""
    count, length = taps.start.shape[1], taps.weights.shape[2]
    parts = []
    for number, share in zip(numbers, shares, strict=True):
        number = number.clamp(0, count - 1)
        if number.dim() == 1:
            number, share = number[None], share[None]
        regions = len(number) if len(taps.start) == 1 else len(taps.start)
        number, share = number.expand(regions, -1), share.expand(regions, -1)
        start = taps.start.expand(regions, -1).gather(1, number)
        index = number[:, :, None].expand(-1, -1, length)
        weights = taps.weights.expand(regions, -1, -1).gather(1, index)
        parts.append((start, share[:, :, None] * weights))
    start = torch.minimum(parts[0][0], parts[1][0])
    longest = max(_largest(first - start) for first, _ in parts) + length
    blended = taps.weights.new_zeros(*start.shape, longest)
    for first, weights in parts:
        columns = (first - start)[:, :, None] + torch.arange(length)
        blended.scatter_add_(2, columns, weights)
    return AxisTaps(start, blended)


def _inside(taps: AxisTaps, size: int) -> AxisTaps:
    """Move windows that reach beyond the source (with weight 0 there) back inside."""
    length = min(taps.weights.shape[2], size)
    start = taps.start.clamp(max=size - length)
    columns = (taps.start - start)[:, :, None] + torch.arange(taps.weights.shape[2])
    weights = taps.weights.new_zeros(*start.shape, _largest(columns) + 1)
    return AxisTaps(start, weights.scatter_(2, columns, taps.weights)[:, :, :length])


def _largest(numbers: Tensor) -> int:
    return int(numbers.max()) if numbers.numel() else 0
