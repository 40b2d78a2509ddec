"""What happens to a map between the network's grid and the original picture's pixels.

A prediction is resized to the network's input, freed of padding, flipped back and resized to the
original picture. All of these act on rows and columns separately, and their composition is a short
weighted sum per axis: pixel y of the result is the sum over t of `weights[y, t]` times pixel
`start[y] + t` of the source. The weights are not negative and sum to one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Resize:
    """Resize bilinearly, pixel centres at (i + 0.5) / S, to (height, width)."""

    height: int
    width: int


@dataclass(frozen=True)
class Crop:
    """Cut out `height` rows from `top` on and `width` columns from `left` on."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Flip:
    """Mirror: "horizontal" swaps left and right, "vertical" top and bottom."""

    direction: str

    def __post_init__(self) -> None:
        if self.direction not in ("horizontal", "vertical"):
            raise ValueError(
                f"flip_direction must be horizontal or vertical, got {self.direction!r}"
            )


Warp = Sequence[Resize | Crop | Flip]


def warp_map(values: Tensor, warp: Warp, align_corners: bool = False) -> Tensor:
    """Apply resizes, crops and flips one after the other to (N, C, H, W) maps.

    A resize to the size that is there already is left out. `align_corners` is for logits of models
    that are built that way; nothing in this project is.
    """
    for step in warp:
        if isinstance(step, Crop):
            values = values[
                :, :, step.top : step.top + step.height, step.left : step.left + step.width
            ]
        elif isinstance(step, Flip):
            values = values.flip(3 if step.direction == "horizontal" else 2)
        elif values.shape[2:] != (step.height, step.width):
            values = F.interpolate(
                values, size=(step.height, step.width), mode="bilinear", align_corners=align_corners
            )
    return values


@dataclass(frozen=True)
class AxisTaps:
    """A warp along one axis, see the top of this file.

    Attributes:
        start: (S,) int64, the first source pixel of each result pixel.
        weights: (S, T).
    """

    start: Tensor
    weights: Tensor


def warp_taps(
    warp: Warp, size: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> tuple[AxisTaps, AxisTaps]:
    """Compose a warp of an (H, W) map into one weighted sum along y and one along x.

    Args:
        warp: resizes, crops and flips.
        size: (H, W) of the source.
        dtype: of the weights. Coordinates are computed in it, too, as `F.interpolate` does.
        device: of the result.
    """
    axes = []
    for axis in (0, 1):
        taps = _identity(size[axis], dtype)
        for step in warp:
            if isinstance(step, Crop):
                first = (step.top, step.left)[axis]
                taps = _pick(taps, slice(first, first + (step.height, step.width)[axis]))
            elif isinstance(step, Flip):
                if (axis == 1) == (step.direction == "horizontal"):
                    taps = AxisTaps(taps.start.flip(0), taps.weights.flip(0))
            elif len(taps.start) != (step.height, step.width)[axis]:
                taps = _resized(taps, (step.height, step.width)[axis])
        taps = _inside(taps, size[axis])
        axes.append(AxisTaps(taps.start.to(device), taps.weights.to(device)))
    return axes[0], axes[1]


def _identity(size: int, dtype: torch.dtype) -> AxisTaps:
    return AxisTaps(torch.arange(size), torch.ones(size, 1, dtype=dtype))


def _pick(taps: AxisTaps, part: slice) -> AxisTaps:
    return AxisTaps(taps.start[part], taps.weights[part])


def _resized(taps: AxisTaps, size: int) -> AxisTaps:
    """Interpolate linearly between the results of `taps`."""
    count, dtype = len(taps.start), taps.weights.dtype
    scale = torch.tensor(count, dtype=dtype) / size
    position = ((torch.arange(size, dtype=dtype) + 0.5) * scale - 0.5).clamp(min=0)
    low = position.long().clamp(max=count - 1)
    high = (low + 1).clamp(max=count - 1)
    share = position - low
    start = torch.minimum(taps.start[low], taps.start[high])
    offset = torch.stack([taps.start[low] - start, taps.start[high] - start])
    length = taps.weights.shape[1]
    weights = torch.zeros(size, int(offset.max()) + length, dtype=dtype)
    for index, part, shift in ((low, 1 - share, offset[0]), (high, share, offset[1])):
        columns = shift[:, None] + torch.arange(length)
        weights.scatter_add_(1, columns, part[:, None] * taps.weights[index])
    return AxisTaps(start, weights)


def _inside(taps: AxisTaps, size: int) -> AxisTaps:
    """Move windows that reach beyond the source (with weight 0 there) back inside."""
    length = min(taps.weights.shape[1], size)
    start = taps.start.clamp(max=size - length)
    shift = taps.start - start
    columns = shift[:, None] + torch.arange(taps.weights.shape[1])
    weights = taps.weights.new_zeros(len(start), int(columns.max()) + 1)
    return AxisTaps(start, weights.scatter_(1, columns, taps.weights)[:, :length])
