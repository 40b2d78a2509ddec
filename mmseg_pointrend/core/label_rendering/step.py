"""One subdivision step on labels: logits only where the labels do not follow from the corners.

Part of rendering labels, see `core.label_rendering`. How one pixel fares:

1. If the corners of its cell have different labels, its logits are interpolated.
2. If they have the same, so has the pixel. Its logits are interpolated only if its margin might be
   among the N smallest of its region, as its lower bound says.
3. If its margin is among the N smallest, the point head predicts it anew.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mmseg_pointrend.core.geometry import Resize
from mmseg_pointrend.core.label_rendering.cells import MixedCells, enlarge_cells, repeat_pixels
from mmseg_pointrend.core.label_rendering.frame import Frame
from mmseg_pointrend.core.label_rendering.grid import LabelGrid, interpolate
from mmseg_pointrend.core.pieces import piece_size
from mmseg_pointrend.core.points import pixel_centers
from mmseg_pointrend.core.ragged import find_slots
from mmseg_pointrend.core.subdivision import PredictPoints, Subdivision
from mmseg_pointrend.core.uncertainty import BoundedMargin, two_largest


def subdivide_labels(
    before: LabelGrid,
    mixed: MixedCells,
    predict_points: PredictPoints,
    subdivision: Subdivision,
    keep: bool = True,
) -> LabelGrid:
    """Do one step from a grid of labels to the next.

    Args:
        before: the grid before.
        mixed: its mixed cells.
        predict_points: (N, P, 2) points -> (N, K, P) logits.
        subdivision: its `num_points` is a number, its margin a `BoundedMargin`.
        keep: whether logits and bounds of the finer grid are needed, because something follows.

    Returns:
        the finer grid; without `keep` only its labels mean something.
    """
    step = _Step(before, before.frame.finer(subdivision.scale_factor), subdivision, keep)
    bounds = Resize(*step.frame.size).apply(before.bounds[:, None])[:, 0]
    pure = step.frame.inner(repeat_pixels(~mixed.flags, step.frame.scale))

    computed = _compute_mixed_cells(step, mixed.cells)
    computed += _compute_uncertain_pixels(step, computed, bounds, pure)
    del pure
    if not keep:
        # Nothing will ask for the finer ones, which are as large as the grid.
        bounds = before.bounds
    predicted = _predict(step, *_choose_pixels(step, computed), predict_points)
    # What was predicted comes last, and counts.
    return _assemble(step, [*computed, predicted], bounds)


class _Step(NamedTuple):
    """What a step is given, and the frame of the grid that it makes."""

    before: LabelGrid
    frame: Frame
    subdivision: Subdivision
    keep: bool

    @property
    def num_regions(self) -> int:
        return len(self.before.labels)

    @property
    def num_points(self) -> int:
        return self.subdivision.count_points(self.frame.size)

    @property
    def max_margin(self) -> float:
        return self.subdivision.max_margin

    @property
    def margin(self) -> BoundedMargin:
        assert isinstance(self.subdivision.margin, BoundedMargin)
        return self.subdivision.margin


@dataclass(frozen=True)
class _Computed:
    """Pixels whose logits have been computed.

    Attributes:
        pixels: (M,), flat indices.
        labels: (M,), the best classes.
        margins: (M,), infinite on the frame, where no pixel can be chosen.
        gaps: (M,), differences of the two largest logits; none if nothing follows the step.
        logits: (M, K); none if nothing follows the step.
    """

    pixels: Tensor
    labels: Tensor
    margins: Tensor
    gaps: Tensor
    logits: Tensor


def _measure(step: _Step, pixels: Tensor, logits: Tensor, framed: bool = False) -> _Computed:
    """Find labels and margins of pixels (M,) with logits (M, K); some may lie on the frame."""
    largest, second, label = two_largest(logits)
    margins = step.margin.of_largest(largest, second, logits)
    if framed:
        inside = step.frame.inside(pixels, step.num_regions)
        margins = torch.where(inside, margins, torch.inf)
    return _Computed(
        pixels,
        label.to(step.before.labels.dtype),
        margins,
        largest - second if step.keep else largest.new_empty(0),
        logits if step.keep else logits.new_empty(0, logits.shape[1]),
    )


def _by_region(step: _Step, computed: Sequence[_Computed]) -> tuple[Tensor, Tensor]:
    """Lay pixels and margins out by regions: (R, M') each; infinite margins fill up."""
    pixels = torch.cat([part.pixels for part in computed])
    margins = torch.cat([part.margins for part in computed])
    if step.num_regions == 1:
        return pixels[None], margins[None]
    slots = find_slots(step.frame.region(pixels), step.num_regions)
    return slots.table(pixels, step.frame.first_pixel), slots.table(margins, torch.inf)


# ---- 1: the cells whose corners do not agree -----------------------------------------------------


def _compute_mixed_cells(step: _Step, cells: Tensor) -> list[_Computed]:
    """Interpolate all pixels of the mixed cells, (M,), part by part."""
    before, frame = step.before, step.frame
    num_classes = before.num_classes
    corners, first_pixels = frame.corners_and_first_pixels(before.frame, cells)
    offsets = frame.cell_offsets(cells.device)
    logits, number = before.find_logits(corners)
    chunk = max(1, piece_size(logits.device) // (num_classes * (4 + frame.scale**2)))
    parts = [_measure(step, cells[:0], logits[:0])]
    for first in range(0, len(cells), chunk):
        part = slice(first, first + chunk)
        corners = logits.index_select(0, number[:, part].flatten()).view(4, -1, num_classes)
        rows = enlarge_cells(corners, frame.scale).view(-1, num_classes)
        pixels = (first_pixels[part] + offsets).flatten()
        parts.append(_measure(step, pixels, rows, framed=True))
    return parts


# ---- 2: pixels of other cells that may be as uncertain -------------------------------------------


def _compute_uncertain_pixels(
    step: _Step, computed: Sequence[_Computed], bounds: Tensor, pure: Tensor
) -> list[_Computed]:
    """Interpolate the pixels of pure cells whose bound lies below the N-th smallest margin.

    Args:
        step: what is done.
        computed: the pixels of mixed cells.
        bounds: (N, H, W), lower bounds of the gaps.
        pure: (N, H, W), whether a pixel lies in a pure cell.
    """
    more: list[_Computed] = []
    threshold = _nth_smallest_margin(step, computed)
    few = threshold == torch.inf
    if not _surely_enough(step, computed) and few.any():
        # Too few pixels: begin with those that look the most uncertain.
        looked = bounds.masked_fill(~(pure & few[:, None, None]), torch.inf).flatten(1)
        lowest = looked.topk(min(step.num_points, looked.shape[1]), largest=False)
        region, order = (lowest.values < torch.inf).nonzero(as_tuple=True)
        index = lowest.indices[region, order]
        more.append(_compute_pixels(step, region, index))
        pure = pure.flatten(1).index_put((region, index), torch.zeros_like(few[:1]))
        pure = pure.view(bounds.shape)
        threshold = _nth_smallest_margin(step, [*computed, *more])
    threshold = threshold.clamp(max=step.max_margin)
    gap = step.margin.gap_at(threshold, step.before.num_classes)
    # Rounding must not leave a pixel out.
    gap = gap * (1 + 8 * torch.finfo(gap.dtype).eps)
    region, y, x = ((bounds < gap[:, None, None]) & pure).nonzero(as_tuple=True)
    more.append(_compute_pixels(step, region, y * bounds.shape[2] + x))
    return more


def _surely_enough(step: _Step, computed: Sequence[_Computed]) -> bool:
    """Whether N pixels inside of the grid have been computed, as their mere number tells."""
    (height, width), (framed_height, framed_width) = step.frame.size, step.frame.framed
    on_frame = framed_height * framed_width - height * width
    number = sum(len(part.pixels) for part in computed) - on_frame
    return step.num_regions == 1 and number >= step.num_points


def _compute_pixels(step: _Step, region: Tensor, index: Tensor) -> _Computed:
    """Interpolate single pixels y * W + x of regions."""
    width = step.frame.size[1]
    pixels = step.frame.pixel(region, index.div(width, rounding_mode="floor"), index % width)
    return _measure(step, pixels, interpolate(step.before, step.frame, pixels))


def _nth_smallest_margin(step: _Step, computed: Sequence[_Computed]) -> Tensor:
    """Find each region's N-th smallest margin, (N,); infinite where there are not so many."""
    _, margins = _by_region(step, computed)
    if margins.shape[1] < step.num_points:
        return margins.new_full((step.num_regions,), torch.inf)
    if margins.is_cuda and torch.are_deterministic_algorithms_enabled():
        # `kthvalue` has no deterministic algorithm there; it is faster, though.
        return margins.topk(step.num_points, largest=False, sorted=False).values.amax(1)
    return margins.kthvalue(step.num_points, dim=1).values


# ---- 3: the point head ---------------------------------------------------------------------------


def _choose_pixels(step: _Step, computed: Sequence[_Computed]) -> tuple[Tensor, Tensor | None]:
    """Choose each region's N pixels of smallest margin, of those below `max_margin`.

    Returns:
        (R, P) flat indices, P being the largest number in any region, and (R, P) bool, False for
        those that fill up; None if there are none.
    """
    pixels, margins = _by_region(step, computed)
    lowest = margins.topk(min(step.num_points, margins.shape[1]), largest=False, sorted=False)
    chosen = pixels.gather(1, lowest.indices)
    # In the order of the picture, neighbours are read from memory together; what fills up is last.
    if step.max_margin == torch.inf and step.num_points <= math.prod(step.frame.size):
        return chosen.sort(dim=1).values, None
    certain = lowest.values >= step.max_margin
    count = int((~certain).sum(1).max())
    beyond = torch.iinfo(chosen.dtype).max
    chosen = chosen.masked_fill(certain, beyond).sort(dim=1).values[:, :count]
    asked = chosen < beyond
    return chosen.masked_fill(~asked, step.frame.first_pixel), asked


def _predict(
    step: _Step, chosen: Tensor, asked: Tensor | None, predict_points: PredictPoints
) -> _Computed:
    """Ask the point head for the chosen pixels, (R, P); `asked` tells which ones count."""
    frame, known = step.frame, step.before.known
    if not chosen.shape[1]:
        return _measure(step, chosen.flatten(), known[:0])
    _, y, x = frame.split(chosen)
    points = pixel_centers(y * frame.size[1] + x, frame.size, known.dtype)
    logits = predict_points(points).transpose(1, 2).to(known.dtype)
    if asked is None:
        return _measure(step, chosen.flatten(), logits.flatten(0, 1))
    return _measure(step, chosen[asked], logits[asked])


# ---- the finer grid ------------------------------------------------------------------------------


def _assemble(step: _Step, computed: Sequence[_Computed], bounds: Tensor) -> LabelGrid:
    """Put labels, bounds and logits together; of a pixel that comes twice the last ones count."""
    frame, before = step.frame, step.before
    labels = frame.fill(before.inner_labels)
    for part in computed:
        labels.view(-1)[part.pixels] = part.labels
    if not step.keep:
        return LabelGrid(frame, labels, bounds, before.known[:0])

    number = torch.full((labels.numel(),), -1, dtype=torch.int32, device=labels.device)
    first = 0
    for part in computed:
        # On the frame the pixels of a cell are repeated, and so are their gaps.
        bounds.view(-1)[frame.unframed(part.pixels)] = part.gaps
        last = first + len(part.pixels)
        number[part.pixels] = torch.arange(first, last, dtype=number.dtype, device=number.device)
        first = last
    known = torch.cat([part.logits for part in computed])
    return LabelGrid(frame, labels, bounds, known, number, before)
