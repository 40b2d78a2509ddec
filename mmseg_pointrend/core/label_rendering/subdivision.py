"""One subdivision step on labels: logits only where the labels do not follow from the corners."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pointrend.core.label_rendering.grid import (
    CHUNK,
    LabelGrid,
    enlarge_cells,
    interpolate,
    mixed_cells,
    repeat_pixels,
)
from mmseg_pointrend.core.subdivision import PredictPoints
from mmseg_pointrend.core.uncertainty import Margin, two_largest


class LabelSubdivision:
    """One subdivision step from a grid of labels to one that is `scale` times as fine.

    Args:
        parent: the grid before.
        scale: the scale factor, >= 2.
        margin: what orders the pixels.
        keep: whether the finer grid needs logits and bounds, because something follows.
    """

    def __init__(self, parent: LabelGrid, scale: int, margin: Margin, keep: bool) -> None:
        self.parent, self.scale, self.margin, self.keep = parent, scale, margin, keep
        labels = parent.inner_labels
        self.mixed = mixed_cells(labels)
        self.cells = self.mixed.flatten().nonzero().squeeze(1)
        corner = torch.cat([labels[:, :1], labels], dim=1)
        corner = torch.cat([corner[:, :, :1], corner], dim=2)
        self.grid = LabelGrid(
            size=tuple(side * scale for side in parent.size),
            origin=scale - scale // 2,
            labels=repeat_pixels(corner, scale),
            parent=parent,
            scale=scale,
        )
        # Of the pixels whose logits were computed; margins are infinite on the frame.
        self.pixels: list[Tensor] = []
        self.margins: list[Tensor] = []
        self.gaps: list[Tensor] = []
        self.rows: list[Tensor] = []
        self.bounds: Tensor | None = None

    @property
    def mixed_share(self) -> float:
        """Share of the cells whose logits have to be computed."""
        return len(self.cells) / max(1, self.mixed.numel())

    def run(self, predict_points: PredictPoints, num_points: int, max_margin: float) -> LabelGrid:
        """Do the step; the arguments are those of `core.subdivide`."""
        self._compute_mixed_cells()
        self._compute_uncertain_pixels(num_points, max_margin)
        if not self.keep:
            self.bounds = None
        self._predict(predict_points, num_points, max_margin)
        return self._finish()

    # ---- 1: the cells whose corners do not agree -------------------------------------------------

    def _compute_mixed_cells(self) -> None:
        scale, parent = self.scale, self.parent
        num_classes = parent.rows.shape[1]
        framed_height, framed_width = self.grid.labels.shape[1:]
        offsets = torch.arange(scale, device=self.cells.device)
        offsets = (offsets[:, None] * framed_width + offsets).view(-1, 1)
        cells_high, cells_wide = self.mixed.shape[1:]
        j = self.cells % cells_wide
        i = self.cells.div(cells_wide, rounding_mode="floor")
        region, i = i.div(cells_high, rounding_mode="floor"), i % cells_high
        corners = torch.stack(
            [parent.pixel(region, i + a, j + b) for a in (-1, 0) for b in (-1, 0)]
        )
        corners = parent.locate(corners)
        first = (region * framed_height + i * scale) * framed_width + j * scale
        chunk = max(1, CHUNK // (num_classes * (4 + scale * scale)))
        for begin in range(0, len(self.cells), chunk):
            part = slice(begin, begin + chunk)
            rows = parent.rows.index_select(0, corners[:, part].flatten())
            rows = enlarge_cells(rows.view(4, -1, num_classes), scale)
            self._add((first[part] + offsets).flatten(), rows.view(-1, num_classes))

    def _add(self, pixels: Tensor, rows: Tensor) -> None:
        largest, second, label = two_largest(rows)
        normaliser = rows.logsumexp(1) if self.margin.normalised else None
        margins = self.margin.of_largest(largest, second, normaliser)
        self.grid.labels.view(-1)[pixels] = label.to(self.grid.labels.dtype)
        self.pixels.append(pixels)
        self.margins.append(margins.masked_fill_(~self.grid.inside(pixels), math.inf))
        if self.keep:
            self.gaps.append(largest - second)
            self.rows.append(rows)

    # ---- 2: pixels of other cells that may be as uncertain ---------------------------------------

    def _compute_uncertain_pixels(self, num_points: int, max_margin: float) -> None:
        height, width = self.grid.size
        self.bounds = F.interpolate(
            self.parent.bounds[:, None], size=(height, width), mode="bilinear", align_corners=False
        )[:, 0]
        pure = self.grid.inner(repeat_pixels(~self.mixed, self.scale))
        num_classes = self.parent.rows.shape[1]
        for region in range(len(pure)):
            threshold = self._threshold(region, num_points)
            if threshold == math.inf:
                # Too few pixels: begin with those that look the most uncertain.
                pure = pure.contiguous()
                threshold = self._begin_with_lowest(region, pure[region], num_points)
            threshold = min(threshold, max_margin)
            limit = self.margin.logit_margin_at(threshold, num_classes)
            y, x = ((self.bounds[region] < limit) & pure[region]).nonzero(as_tuple=True)
            self._compute_pixels(region, y, x)

    def _begin_with_lowest(self, region: int, pure: Tensor, num_points: int) -> float:
        bounds = torch.where(pure, self.bounds[region], math.inf).flatten()
        lowest = bounds.topk(min(num_points, len(bounds)), largest=False)
        lowest = lowest.indices[lowest.values < math.inf]
        pure.view(-1)[lowest] = False
        width = pure.shape[1]
        self._compute_pixels(region, lowest.div(width, rounding_mode="floor"), lowest % width)
        return self._threshold(region, num_points)

    def _compute_pixels(self, region: int, y: Tensor, x: Tensor) -> None:
        if len(y):
            pixels = self.grid.pixel(region, y, x)
            self._add(pixels, interpolate(self.parent, self.grid, pixels))

    def _threshold(self, region: int, num_points: int) -> float:
        """Find the N-th smallest margin computed so far; infinite if there are not so many."""
        _, margins = self._computed(region)
        if len(margins) < num_points:
            return math.inf
        return margins.kthvalue(num_points).values.item()

    def _computed(self, region: int) -> tuple[Tensor, Tensor]:
        if len(self.pixels) != 1:
            none = self.cells[:0]
            self.pixels = [torch.cat([none, *self.pixels])]
            self.margins = [torch.cat([none.to(self.parent.rows.dtype), *self.margins])]
        pixels, margins = self.pixels[0], self.margins[0]
        if len(self.mixed) == 1:
            return pixels, margins
        mine = self.grid.split(pixels)[0] == region
        return pixels[mine], margins[mine]

    # ---- 3: the point head -----------------------------------------------------------------------

    def _predict(self, predict_points: PredictPoints, num_points: int, max_margin: float) -> None:
        chosen = []
        for region in range(len(self.mixed)):
            pixels, margins = self._computed(region)
            lowest = margins.topk(min(num_points, len(margins)), largest=False, sorted=False)
            certain = lowest.values >= max_margin
            if certain.any():
                lowest_pixels = pixels[lowest.indices[~certain]]
            else:
                lowest_pixels = pixels[lowest.indices]
            # In the order of the picture, neighbours are read from memory together.
            chosen.append(lowest_pixels.sort().values)
        count = max((len(pixels) for pixels in chosen), default=0)
        self.predicted_pixels = torch.cat(chosen) if chosen else self.cells[:0]
        if not count:
            self.predicted_rows = self.parent.rows[:0]
            return
        points = torch.stack([self._points(pixels, count) for pixels in chosen])
        logits = predict_points(points).transpose(1, 2).to(self.parent.rows.dtype)
        if all(len(pixels) == count for pixels in chosen):
            self.predicted_rows = logits.flatten(0, 1)
        else:
            self.predicted_rows = torch.cat(
                [rows[: len(pixels)] for rows, pixels in zip(logits, chosen, strict=True)]
            )

    def _points(self, pixels: Tensor, count: int) -> Tensor:
        """Centres (count, 2) of pixels; those that are too few are followed by (0, 0)."""
        _, y, x = self.grid.split(pixels)
        height, width = self.grid.size
        dtype = self.parent.rows.dtype
        points = torch.stack([(x.to(dtype) + 0.5) / width, (y.to(dtype) + 0.5) / height], dim=1)
        return F.pad(points, (0, 0, 0, count - len(points)))

    def _finish(self) -> LabelGrid:
        grid, pixels, rows = self.grid, self.predicted_pixels, self.predicted_rows
        largest, second, label = two_largest(rows)
        grid.labels.view(-1)[pixels] = label.to(grid.labels.dtype)
        if self.keep:
            grid.set_rows([*self.pixels, pixels], [*self.rows, rows])
            grid.bounds = self.bounds
            self._set_bounds(torch.cat(self.pixels), torch.cat(self.gaps))
            self._set_bounds(pixels, largest - second)
        return grid

    def _set_bounds(self, pixels: Tensor, gaps: Tensor) -> None:
        inside = self.grid.inside(pixels)
        region, y, x = self.grid.split(pixels[inside])
        height, width = self.grid.size
        self.grid.bounds.view(-1)[(region * height + y) * width + x] = gaps[inside]
