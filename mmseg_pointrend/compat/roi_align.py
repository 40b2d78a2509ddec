"""RoIAlign in plain torch, in the place of mmcv's compiled ops `roi_align_forward` and `_backward`.

Upstream: mmcv 2.1.0, whose detectors need it and whose mmcv-lite has none. It can go when mmcv
offers one without compiling.

The mean of the bilinear samples of a bin is linear in the map, and rows and columns act apart: the
result for a box is `rows @ map @ columns.T` with two small matrices. So it is for the gradient.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How boxes are sampled.

    Attributes:
        size: (height, width) of the result, in bins.
        scale: of the map: its pixels for one of the boxes' units.
        ratio: samples along each side of a bin; 0 for as many as it has pixels, rounded up.
        aligned: whether the centre of pixel i is at i + 0.5; False is the rule of Detectron, which
            also makes boxes at least one pixel large.
    """

    size: tuple[int, int]
    scale: float
    ratio: int
    aligned: bool


def roi_align(maps: Tensor, boxes: Tensor, sampling: Sampling) -> Tensor:
    """Take the mean of bilinear samples in each bin of each box.

    Args:
        maps: (N, C, H, W).
        boxes: (R, 5), the number of the map, then left, top, right, bottom.
        sampling: how.

    Returns:
        (R, C, *size). Samples further than a pixel outside of the map are 0, others are moved to
        its edge.
    """
    result = maps.new_zeros(len(boxes), maps.shape[1], *sampling.size)
    for index, (image, rows, columns) in enumerate(_matrices(maps, boxes, sampling)):
        region = maps[image, :, rows.pixels, columns.pixels]
        result[index] = rows.weights @ region @ columns.weights.T
    return result


def roi_align_gradient(gradient: Tensor, boxes: Tensor, sampling: Sampling, maps: Tensor) -> None:
    """Add the gradient of the maps.

    Args:
        gradient: (R, C, *size), of the result.
        boxes: see `roi_align`.
        sampling: see `roi_align`.
        maps: (N, C, H, W), what the gradient is added to.
    """
    for index, (image, rows, columns) in enumerate(_matrices(maps, boxes, sampling)):
        region = maps[image, :, rows.pixels, columns.pixels]
        region += rows.weights.T @ gradient[index] @ columns.weights


@dataclass(frozen=True)
class _Axis:
    """The matrix of one axis, cut to the pixels that count: (bins, pixels)."""

    pixels: slice
    weights: Tensor


def _matrices(
    maps: Tensor, boxes: Tensor, sampling: Sampling
) -> Iterator[tuple[int, _Axis, _Axis]]:
    """Yield for each box its map, and the matrices of rows and columns."""
    sides = boxes[:, 1:] * sampling.scale - (0.5 if sampling.aligned else 0.0)
    first, length = sides[:, :2], sides[:, 2:] - sides[:, :2]
    if not sampling.aligned:
        length = length.clamp(min=1)
    axes = []
    for axis, side in ((0, 1), (1, 0)):  # y stands after x in a box
        bins, size = sampling.size[axis], maps.shape[2 + axis]
        axes.append(_axis_matrices(first[:, side], length[:, side], bins, sampling.ratio, size))
    return zip(boxes[:, 0].long().tolist(), *axes, strict=True)


def _axis_matrices(first: Tensor, length: Tensor, bins: int, ratio: int, size: int) -> list[_Axis]:
    """Make the matrices of one axis, those of boxes with equal numbers of samples at once.

    Args:
        first: (R,), where the boxes begin, in pixels of the map.
        length: (R,).
        bins: of the result.
        ratio: samples in a bin, 0 for as many as it has pixels.
        size: of the map, pixels.
    """
    counts = torch.full_like(first, ratio)
    if ratio <= 0:
        counts = (length / bins).ceil().clamp(min=0)
    found: dict[int, _Axis] = {}
    for count in counts.unique().long().tolist():
        chosen = (counts == count).nonzero()[:, 0]
        starts, weights = _mean_weights(first[chosen], length[chosen], bins, count, size)
        for index, start, matrix in zip(chosen.tolist(), starts.tolist(), weights, strict=True):
            found[index] = _Axis(slice(start, start + matrix.shape[1]), matrix)
    return [found[index] for index in range(len(first))]


def _mean_weights(
    first: Tensor, length: Tensor, bins: int, count: int, size: int
) -> tuple[Tensor, Tensor]:
    """Find what each pixel counts in the mean of each bin's samples, of which there are `count`.

    Returns:
        (R,), the first pixel of each box, and (R, bins, pixels).
    """
    if count == 0:  # a box without a size: its samples are none, its means 0
        return first.new_zeros(len(first), dtype=torch.long), first.new_zeros(len(first), bins, 0)
    samples = (torch.arange(bins * count, device=first.device, dtype=first.dtype) + 0.5) / count
    position = first[:, None] + samples * (length / bins)[:, None]
    counted = ((position >= -1) & (position <= size)).to(first.dtype) / count
    position = position.clamp(0, size - 1)
    low = position.long()
    high, share = (low + 1).clamp(max=size - 1), position - low
    start, stop = low.amin(1), high.amax(1) + 1
    pixels = int((stop - start).max())
    start = start.clamp(max=size - pixels)
    weights = first.new_zeros(len(first), bins, pixels)
    for place, part in ((low, 1 - share), (high, share)):
        index = (place - start[:, None]).view(-1, bins, count)
        weights.scatter_add_(2, index, (part * counted).view(-1, bins, count))
    return start, weights
