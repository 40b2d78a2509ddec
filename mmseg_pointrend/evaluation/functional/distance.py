"""Which pixels lie near others: exact, in integers."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pointrend.core.shapes import check_shape

# Pixels that are passed over together: so many stay in a processor's cache from pass to pass.
_STRIP = 2**18


def squared_distances(marked: Tensor, limit: int) -> Tensor:
    """Measure the squared Euclidean distance of every pixel to the nearest marked pixel.

    First along the columns, then along the rows: the distance transform of Felzenszwalb and
    Huttenlocher (2012), which a limit makes a few passes over whole maps.

    Args:
        marked: (N, H, W), bool.
        limit: pixels, >= 0. Distances beyond it are not told apart.

    Returns:
        (N, H, W), the smallest of int16, int32 and int64 that holds them: exact up to
        `limit` ** 2, and larger than that elsewhere.

    Raises:
        ValueError: for a negative limit, or a map of another shape.
    """
    check_shape("marked", marked, "(N, H, W)")
    if limit < 0:
        raise ValueError(f"limit must be >= 0 (pixels), got {limit}")
    far = limit + 1
    dtypes = (torch.int16, torch.int32, torch.int64)
    dtype = next(found for found in dtypes if 2 * far**2 <= torch.iinfo(found).max)
    nearest = torch.full(marked.shape, far, dtype=dtype, device=marked.device)
    nearest.masked_fill_(marked, 0)
    # Along the columns. Steps of 1, 2, 4, ... add up to every distance.
    step = 1
    while step <= limit and step < marked.shape[1]:
        _approach(nearest, nearest, step, step, dim=1)
        step *= 2
    # Along the rows: y pixels off in a column dx columns away are y**2 + dx**2 off.
    for strip in _strips(nearest, dim=1):
        strip *= strip
        columns = strip.clone()
        for dx in range(1, min(limit, marked.shape[2] - 1) + 1):
            _approach(strip, columns, dx, dx**2, dim=2)
    return nearest


def _approach(nearest: Tensor, source: Tensor, shift: int, cost: int, dim: int) -> None:
    """Lower `nearest` to `source` plus `cost`, `shift` pixels away on either side."""
    length = nearest.shape[dim] - shift
    for here, there in ((shift, 0), (0, shift)):
        target = nearest.narrow(dim, here, length)
        torch.minimum(target, source.narrow(dim, there, length) + cost, out=target)


def window_maximum(values: Tensor, radius: int, outside: int) -> Tensor:
    """Find the maximum of the square of 2 `radius` + 1 pixels around every pixel.

    Args:
        values: (N, H, W), integers.
        radius: pixels, >= 0.
        outside: the value beyond the edge of the map.

    Returns:
        (N, H, W), the type of `values`.
    """
    for dim in (1, 2):
        across = 3 - dim
        strips = [_line_maximum(strip, radius, outside, dim) for strip in _strips(values, across)]
        values = torch.cat(strips, dim=across)
    return values


def _line_maximum(values: Tensor, radius: int, outside: int, dim: int) -> Tensor:
    """Find the maximum of the 2 `radius` + 1 pixels around every pixel along one dimension."""
    # F.pad begins with the last dimension.
    values = F.pad(values, [0, 0] * (2 - dim) + [radius, radius], value=outside)
    side = 2 * radius + 1
    reach = 1  # The maximum of so many pixels, from each pixel on, is known.
    while reach < side:
        step = min(reach, side - reach)
        length = values.shape[dim] - step
        values = torch.maximum(values.narrow(dim, 0, length), values.narrow(dim, step, length))
        reach += step
    return values


def _strips(maps: Tensor, dim: int) -> Sequence[Tensor]:
    """Cut (N, H, W) maps along a dimension into views of about `_STRIP` pixels each."""
    pixels = maps.numel() // max(1, maps.shape[dim])
    return maps.split(max(1, _STRIP // max(1, pixels)), dim)
