"""The guided filter (He, Sun, Tang; TPAMI 2013): maps whose edges follow those of a picture.

In every window the result is a linear function of the colours, q = a . I + b, where a and b fit the
map that is filtered; a pixel takes the mean of the a and b of all windows that it lies in.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pointrend.core import Resize


def guided_filter(guide: Tensor, values: Tensor, radius: int, epsilon: float) -> Tensor:
    """Filter maps by a picture of their size.

    Args:
        guide: (N, 3, H, W), the picture, in [0, 1].
        values: (N, K, H, W), such as probabilities.
        radius: of the windows, pixels: they have 2 `radius` + 1 on a side.
        epsilon: variances of colour below it count as flat, where the result is a plain mean.

    Returns:
        (N, K, H, W).

    Raises:
        ValueError: for settings out of range, or shapes that do not fit.
    """
    if guide.shape[2:] != values.shape[2:]:
        raise ValueError(
            f"guide and values must have one size, got {tuple(guide.shape)} and "
            f"{tuple(values.shape)}"
        )
    slopes, offsets = _fit(guide, values, radius, epsilon)
    return _linear(guide, slopes, offsets)


def guided_upsampling(guide: Tensor, values: Tensor, radius: int, epsilon: float) -> Tensor:
    """Enlarge maps to a picture, along its edges (He, Sun: Fast Guided Filter, 2015).

    What is linear is fitted on the small grid; its coefficients are enlarged bilinearly, and the
    large picture is put in.

    Args:
        guide: (N, 3, H, W), the picture, in [0, 1].
        values: (N, K, h, w).
        radius: of the windows, pixels of the small grid.
        epsilon: see `guided_filter`.

    Returns:
        (N, K, H, W).

    Raises:
        ValueError: for settings out of range, or a guide without three channels.
    """
    small = F.adaptive_avg_pool2d(guide, values.shape[2:])
    slopes, offsets = _fit(small, values, radius, epsilon)
    resize = Resize(guide.shape[2], guide.shape[3])
    slopes = resize.apply(slopes.flatten(1, 2)).unflatten(1, slopes.shape[1:3])
    return _linear(guide, slopes, resize.apply(offsets))


def _fit(guide: Tensor, values: Tensor, radius: int, epsilon: float) -> tuple[Tensor, Tensor]:
    """Fit each window, and take the means over a pixel's windows (the paper's eq. 16, 19 and 20).

    Returns:
        (N, K, 3, h, w) slopes, (N, K, h, w) offsets.
    """
    if guide.dim() != 4 or guide.shape[1] != 3:
        raise ValueError(f"guide must be (N, 3, H, W), got {tuple(guide.shape)}")
    if radius < 1 or not epsilon > 0:
        raise ValueError(f"radius must be >= 1 and epsilon > 0, got {radius} and {epsilon}")
    mean = box_mean(guide, radius)[:, None]
    mean_values = box_mean(values, radius)
    products = (guide[:, None] * values[:, :, None]).flatten(1, 2)
    covariance = box_mean(products, radius).unflatten(1, (-1, 3)) - mean * mean_values[:, :, None]
    inverse = _inverse_variance(guide, radius, epsilon).to(values.dtype)
    slopes = torch.einsum("nkihw,nijhw->nkjhw", covariance, inverse)
    offsets = mean_values - (slopes * mean).sum(2)
    slopes = box_mean(slopes.flatten(1, 2), radius).unflatten(1, (-1, 3))
    return slopes, box_mean(offsets, radius)


def _inverse_variance(guide: Tensor, radius: int, epsilon: float) -> Tensor:
    """Invert the colours' 3x3 covariance, plus `epsilon`, in each window: (N, 3, 3, h, w).

    In double precision: differences of means, and the colours of most windows lie on a line.
    """
    guide = guide.double()
    mean = box_mean(guide, radius)
    products = (guide[:, :, None] * guide[:, None]).flatten(1, 2)
    variance = box_mean(products, radius).unflatten(1, (3, 3)) - mean[:, :, None] * mean[:, None]
    flat = epsilon * torch.eye(3, dtype=guide.dtype, device=guide.device)
    rows = (variance + flat[..., None, None]).unbind(1)
    # Of a symmetric matrix the rows' cross products are the inverse, but for the determinant.
    crossed = [torch.linalg.cross(rows[i - 2], rows[i - 1], dim=1) for i in range(3)]
    determinant = (rows[0] * crossed[0]).sum(1)
    return torch.stack(crossed, dim=1) / determinant[:, None, None]


def _linear(guide: Tensor, slopes: Tensor, offsets: Tensor) -> Tensor:
    return (slopes * guide[:, None]).sum(2) + offsets


def box_mean(values: Tensor, radius: int) -> Tensor:
    """Take the mean of the square of 2 `radius` + 1 pixels around each; beyond the edge is nothing.

    Args:
        values: (N, C, H, W).
        radius: pixels, >= 0.
    """
    counts = values.new_ones(1, 1, *values.shape[2:])
    for dim in (2, 3):
        values, counts = _line_sum(values, radius, dim), _line_sum(counts, radius, dim)
    return values / counts


def _line_sum(values: Tensor, radius: int, dim: int) -> Tensor:
    """Sum the 2 `radius` + 1 pixels around each along one dimension.

    From sums of 1, 2, 4, ... pixels: few passes, and no long running sum that loses digits.
    """
    size, side = values.shape[dim], 2 * radius + 1
    # F.pad begins with the last dimension.
    sums = F.pad(values, [0, 0] * (3 - dim) + [radius, radius])
    total, start, length = torch.zeros_like(values), 0, 1
    while length <= side:
        if side & length:
            total += sums.narrow(dim, start, size)
            start += length
        rest = sums.shape[dim] - length
        if rest < 1:
            break
        sums = sums.narrow(dim, 0, rest) + sums.narrow(dim, length, rest)
        length *= 2
    return total
