"""From coarse logits to labels: what `core.label_rendering` does, step by step."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg_pointrend.core.budget import NumPoints, resolve_num_points
from mmseg_pointrend.core.geometry import Warp
from mmseg_pointrend.core.label_rendering.grid import LabelGrid
from mmseg_pointrend.core.label_rendering.planes import render_planes
from mmseg_pointrend.core.label_rendering.subdivision import LabelSubdivision
from mmseg_pointrend.core.label_rendering.warping import only_indexes, warp_labels
from mmseg_pointrend.core.subdivision import PredictPoints, check_subdivision, render
from mmseg_pointrend.core.uncertainty import Margin, logit_margin

#: Share of mixed cells above which computing all logits is faster; see docs/benchmarks.md.
MAX_MIXED_SHARE = 0.75


@torch.no_grad()
def render_labels(
    coarse_logits: Tensor,
    predict_points: PredictPoints,
    steps: int,
    num_points: NumPoints,
    scale_factor: int = 2,
    margin: Margin = logit_margin,
    max_margin: float = math.inf,
    warps: Sequence[Warp] | None = None,
    threshold: float = 0.5,
    max_mixed_share: float = MAX_MIXED_SHARE,
) -> list[Tensor]:
    """Render the label maps that `core.render` and a decision would give, without its logits.

    Equal to the dense way but where rounding decides: between two pixels of equal margin which one
    is predicted, between two classes of equal logit which one wins.

    Args:
        coarse_logits: (N, K, h, w); half precision is read in float32.
        predict_points: (N, P, 2) points -> (N, K, P) logits; the point head with its features.
        steps: number of subdivision steps.
        num_points: N of the paper, points predicted in every step (all pixels if fewer), or
            another budget that `resolve_num_points` takes.
        scale_factor: enlargement in a step, an integer >= 2.
        margin: what orders the pixels.
        max_margin: only pixels whose margin is below it are predicted.
        warps: for each region, the resizes, crops and flips that follow; none by default.
        threshold: for K = 1, the probability above which a pixel is 1.
        max_mixed_share: a step computes all logits of its grid where the share of cells with
            differing corners, or of pixels to be predicted, is larger; the last step class by
            class. 0 always does that, infinity never.

    Returns:
        For each region (H, W), in the smallest of uint8, int16 and int32 that holds K labels.

    Raises:
        ValueError: for settings out of range.
    """
    check_subdivision(steps, num_points, scale_factor, max_margin)
    num_points = resolve_num_points(
        num_points, tuple(side * scale_factor**steps for side in coarse_logits.shape[2:])
    )
    warps = [()] * len(coarse_logits) if warps is None else warps
    if len(warps) != len(coarse_logits):
        raise ValueError(f"{len(coarse_logits)} regions need as many warps, got {len(warps)}")
    if not len(coarse_logits):
        return []

    settings = (predict_points, num_points, scale_factor, margin, max_margin)
    if coarse_logits.shape[1] == 1 or max_mixed_share <= 0:
        return render_planes(coarse_logits, steps, *settings, warps, threshold)
    grid = LabelGrid.dense(coarse_logits)
    for step in range(steps):
        size = tuple(side * scale_factor for side in grid.size)
        last = step == steps - 1
        keep = not (last and all(only_indexes(warp, size) for warp in warps))
        subdivision = LabelSubdivision(grid, scale_factor, margin, keep)
        share = subdivision.mixed_share
        if max_margin == math.inf:
            share = max(share, num_points / math.prod(size))
        if share <= max_mixed_share:
            grid = subdivision.run(predict_points, num_points, max_margin)
        elif last:
            return render_planes(grid.dense_logits(), 1, *settings, warps, threshold)
        else:
            logits = grid.dense_logits()
            grid = LabelGrid.dense(render(logits, predict_points, 1, *settings[1:]))
    return [warp_labels(grid, region, warp) for region, warp in enumerate(warps)]
