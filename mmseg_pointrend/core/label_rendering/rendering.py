"""From coarse logits to labels: what `core.label_rendering` does, step by step."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mmseg_pointrend.core.decision import decide
from mmseg_pointrend.core.geometry import Warp, mixes_pixels, warp_map, warp_size
from mmseg_pointrend.core.label_rendering.cells import mixed_cells
from mmseg_pointrend.core.label_rendering.grid import Chosen, LabelGrid, label_dtype
from mmseg_pointrend.core.label_rendering.picture import warp_labels
from mmseg_pointrend.core.label_rendering.planes import (
    Planes,
    fits_at_once,
    subdivide_into_planes,
    without_step,
)
from mmseg_pointrend.core.label_rendering.step import subdivide_labels
from mmseg_pointrend.core.pieces import free_memory, piece_size
from mmseg_pointrend.core.shapes import check_shape
from mmseg_pointrend.core.subdivision import PredictPoints, Subdivision, render
from mmseg_pointrend.core.uncertainty import BoundedMargin

#: How labels may be rendered; see `render_labels`.
WAYS = ("auto", "sparse", "dense")
#: Share of mixed cells, or of predicted pixels, above which a step is faster if it computes all
#: logits of its grid; see docs/benchmarks.md.
MAX_MIXED_SHARE = 0.75


@torch.no_grad()
def render_labels(
    coarse_logits: Tensor,
    predict_points: PredictPoints,
    subdivision: Subdivision,
    warps: Sequence[Warp] = ((),),
    threshold: float | None = None,
    way: str = "auto",
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
        way: "sparse" computes few logits, those of the pixels whose label does not follow from
            others'; it needs several classes and a `BoundedMargin`. "dense" computes all of them,
            some classes or rows at a time, in fixed shapes and without waiting for a result: for
            accelerators, CUDA graphs and `torch.compile`. "auto" is dense on accelerators, unless
            the logits of the last grid but one would take more than a quarter of the free memory;
            else, and on a CPU, it is sparse but for grids in which most pixels are uncertain.

    Returns:
        for each region (H, W), in the smallest of uint8, int16 and int32 that holds K labels.

    Raises:
        ValueError: for logits of another shape, another number of warps, or an unknown way.

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
    if way not in WAYS:
        raise ValueError(f"way must be one of {list(WAYS)}, got {way!r}")
    if not num_regions:
        return []
    logits = coarse_logits.to(torch.promote_types(coarse_logits.dtype, torch.float32))
    size = (logits.shape[2], logits.shape[3])
    # N once and for all, as it may depend on the last grid.
    subdivision = dataclasses.replace(subdivision, num_points=subdivision.count_points(size))
    grid = subdivision.grid_size(size)
    last: LabelGrid | Planes
    if _is_sparse(way, logits, subdivision):
        most = MAX_MIXED_SHARE if way == "auto" else math.inf
        last = _render_sparsely(logits, predict_points, subdivision, warps, most)
    elif len(set(map(tuple, warps))) == 1 and fits_at_once(logits, grid, warps[0]):
        logits = warp_map(render(logits, predict_points, subdivision), warps[0])
        return list(decide(logits, threshold).to(label_dtype(logits.shape[1])))
    else:
        last = _render_densely(logits, predict_points, subdivision, warps)
    found: dict[int, Tensor] = {}
    for warp, regions in _groups(warps, logits, grid):
        chosen = _choose(regions, logits.device)
        warp = [step.of_regions(chosen, num_regions) for step in warp]
        if isinstance(last, Planes):
            labels = last.warped_labels(warp, chosen, threshold)
        else:
            labels = warp_labels(last, warp, chosen)
        found.update(zip(regions, labels, strict=True))
    return [found[region] for region in range(num_regions)]


def _is_sparse(way: str, logits: Tensor, subdivision: Subdivision) -> bool:
    """Whether few logits are computed, and not all."""
    if logits.shape[1] == 1 or not isinstance(subdivision.margin, BoundedMargin):
        return False
    if way != "auto":
        return way == "sparse"
    if logits.device.type == "cpu":
        return True
    free = free_memory(logits.device)
    last_but_one = subdivision.more_steps(-min(1, subdivision.steps))
    pixels = math.prod(last_but_one.grid_size((logits.shape[2], logits.shape[3])))
    need = pixels * math.prod(logits.shape[:2]) * logits.itemsize
    return free is not None and need > free / 4


def _render_sparsely(
    logits: Tensor,
    predict_points: PredictPoints,
    subdivision: Subdivision,
    warps: Sequence[Warp],
    max_mixed_share: float,
) -> LabelGrid | Planes:
    """Do all steps; those for which it is faster the dense way."""
    grid = LabelGrid.dense(logits)
    one_step = dataclasses.replace(subdivision, steps=1)
    for left in range(subdivision.steps, 0, -1):
        finer = grid.frame.finer(subdivision.scale_factor).size
        mixed = mixed_cells(grid.inner_labels)
        share = mixed.share
        if subdivision.max_margin == math.inf:
            share = max(share, subdivision.count_points(finer) / math.prod(finer))
        if share <= max_mixed_share:
            keep = left > 1 or any(mixes_pixels(warp, finer) for warp in warps)
            grid = subdivide_labels(grid, mixed, predict_points, subdivision, keep)
        elif left > 1:
            grid = LabelGrid.dense(render(grid.dense_logits(), predict_points, one_step))
        else:
            keep_labels = not all(mixes_pixels(warp, finer) for warp in warps)
            logits = grid.dense_logits()
            return subdivide_into_planes(logits, predict_points, subdivision, keep_labels)
    return grid


def _render_densely(
    logits: Tensor,
    predict_points: PredictPoints,
    subdivision: Subdivision,
    warps: Sequence[Warp],
) -> Planes:
    """Do all steps, whatever the logits are."""
    if not subdivision.steps:
        return without_step(logits)
    size = subdivision.grid_size((logits.shape[2], logits.shape[3]))
    keep_labels = not all(mixes_pixels(warp, size) for warp in warps)
    logits = render(logits, predict_points, subdivision.more_steps(-1))
    return subdivide_into_planes(logits, predict_points, subdivision, keep_labels)


def _groups(
    warps: Sequence[Warp], logits: Tensor, size: tuple[int, int]
) -> Iterator[tuple[Warp, list[int]]]:
    """Yield warps, and the regions that share them, as many as one piece of work may be."""
    if len(warps) == 1:
        warps = [warps[0]] * len(logits)
    groups: dict[Warp, list[int]] = {}
    for region, warp in enumerate(warps):
        groups.setdefault(tuple(warp), []).append(region)
    piece = piece_size(logits.device, logits.itemsize)
    for warp, regions in groups.items():
        count = max(1, piece // max(1, math.prod(warp_size(size, warp))))
        for first in range(0, len(regions), count):
            yield warp, regions[first : first + count]


def _choose(regions: list[int], device: torch.device) -> Chosen:
    """Write numbers that follow each other as a slice: no index has to be sent to a device."""
    following = range(regions[0], regions[0] + len(regions))
    if regions == list(following):
        return slice(following.start, following.stop)
    return torch.tensor(regions, device=device)
