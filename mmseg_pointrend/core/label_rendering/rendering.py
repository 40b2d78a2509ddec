"""From coarse logits to labels: what `core.label_rendering` does, step by step."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mmseg_pointrend.core.geometry import Warp, mixes_pixels, warp_size
from mmseg_pointrend.core.label_rendering.cells import mixed_cells
from mmseg_pointrend.core.label_rendering.grid import CHUNK, LabelGrid
from mmseg_pointrend.core.label_rendering.picture import warp_labels
from mmseg_pointrend.core.label_rendering.planes import (
    Planes,
    subdivide_into_planes,
    without_step,
)
from mmseg_pointrend.core.label_rendering.step import subdivide_labels
from mmseg_pointrend.core.shapes import check_shape
from mmseg_pointrend.core.subdivision import PredictPoints, Subdivision, render
from mmseg_pointrend.core.uncertainty import BoundedMargin

#: Share of mixed cells above which computing all logits is faster; see docs/benchmarks.md.
MAX_MIXED_SHARE = 0.75


@torch.no_grad()
def render_labels(
    coarse_logits: Tensor,
    predict_points: PredictPoints,
    subdivision: Subdivision,
    warps: Sequence[Warp] = ((),),
    threshold: float | None = None,
    max_mixed_share: float = MAX_MIXED_SHARE,
) -> list[Tensor]:
    """Render the label maps that `core.render` and a decision would give, without its logits.

    Equal to the dense way but where rounding decides: between two pixels of equal margin which one
    is predicted, between two classes of equal logit which one wins.

    Args:
        coarse_logits: (N, K, h, w); half precision is read in float32.
        predict_points: (N, P, 2) points -> (N, K, P) logits; the point head with its features.
        subdivision: how many steps and points, and which ones. With several classes and a
            `BoundedMargin` few logits are computed; with any other margin those of all pixels are,
            a class or a few rows at a time.
        warps: the steps that follow (resizes, crops, flips, placing), for each region, or one for
            all of them; none by default.
        threshold: for K = 1, the probability above which a pixel is 1; see `core.decide`.
        max_mixed_share: a step computes all logits of its grid where the share of cells with
            differing corners, or of pixels to be predicted, is larger; the last step class by
            class. 0 always does that, infinity never.

    Returns:
        for each region (H, W), in the smallest of uint8, int16 and int32 that holds K labels.

    Raises:
        ValueError: for logits of another shape, or another number of warps.

    Example:
        >>> coarse = torch.tensor([[[[4.0, -4.0]], [[-4.0, 4.0]]]])
        >>> predict_points = lambda points: torch.stack([1 - points[..., 0], points[..., 0]], dim=1)
        >>> render_labels(coarse, predict_points, Subdivision(steps=1, num_points=4))
        [tensor([[0, 0, 1, 1],
                [0, 0, 1, 1]], dtype=torch.uint8)]
    """
    check_shape("coarse_logits", coarse_logits, "(N, K, h, w)")
    num_regions = len(coarse_logits)
    if len(warps) not in (1, num_regions):
        raise ValueError(
            f"{num_regions} regions need as many warps, or one for all, got {len(warps)}"
        )
    if not num_regions:
        return []
    size = (coarse_logits.shape[2], coarse_logits.shape[3])
    # N once and for all, as it may depend on the last grid.
    subdivision = dataclasses.replace(subdivision, num_points=subdivision.count_points(size))
    last = _render_last_grid(coarse_logits, predict_points, subdivision, warps, max_mixed_share)
    found: dict[int, Tensor] = {}
    for warp, regions in _groups(warps, num_regions, subdivision.grid_size(size)):
        index = torch.tensor(regions, device=coarse_logits.device)
        warp = [step.of_regions(index, num_regions) for step in warp]
        if isinstance(last, Planes):
            labels = last.warped_labels(warp, index, threshold)
        else:
            labels = warp_labels(last, warp, index)
        found.update(zip(regions, labels, strict=True))
    return [found[region] for region in range(num_regions)]


def _render_last_grid(
    logits: Tensor,
    predict_points: PredictPoints,
    subdivision: Subdivision,
    warps: Sequence[Warp],
    max_mixed_share: float,
) -> LabelGrid | Planes:
    """Do all steps, each in the way that is faster."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    sparse = logits.shape[1] > 1 and isinstance(subdivision.margin, BoundedMargin)
    if not sparse or max_mixed_share <= 0:
        return _render_planes(logits, predict_points, subdivision)
    grid = LabelGrid.dense(logits)
    one_step = dataclasses.replace(subdivision, steps=1)
    for left in range(subdivision.steps, 0, -1):
        finer = grid.frame.finer(subdivision.scale_factor).size
        mixed = mixed_cells(grid.inner_labels)
        share = int(mixed.count_nonzero()) / mixed.numel()
        if subdivision.max_margin == math.inf:
            share = max(share, subdivision.count_points(finer) / math.prod(finer))
        if share <= max_mixed_share:
            keep = left > 1 or any(mixes_pixels(warp, finer) for warp in warps)
            grid = subdivide_labels(grid, mixed, predict_points, subdivision, keep)
        elif left > 1:
            grid = LabelGrid.dense(render(grid.dense_logits(), predict_points, one_step))
        else:
            return subdivide_into_planes(grid.dense_logits(), predict_points, subdivision)
    return grid


def _render_planes(
    logits: Tensor, predict_points: PredictPoints, subdivision: Subdivision
) -> Planes:
    if not subdivision.steps:
        return without_step(logits)
    logits = render(logits, predict_points, subdivision.more_steps(-1))
    return subdivide_into_planes(logits, predict_points, subdivision)


def _groups(
    warps: Sequence[Warp], num_regions: int, size: tuple[int, int]
) -> Iterator[tuple[Warp, list[int]]]:
    """Yield warps, and the regions that share them, as many as one chunk of work may be."""
    if len(warps) == 1:
        warps = [warps[0]] * num_regions
    groups: dict[Warp, list[int]] = {}
    for region, warp in enumerate(warps):
        groups.setdefault(tuple(warp), []).append(region)
    for warp, regions in groups.items():
        count = max(1, CHUNK // max(1, math.prod(warp_size(size, warp))))
        for first in range(0, len(regions), count):
            yield warp, regions[first : first + count]
