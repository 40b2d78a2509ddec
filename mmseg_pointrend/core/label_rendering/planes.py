"""Labels from the logits of all pixels of the last grid, some classes and some rows at a time.

Part of rendering labels, see `core.label_rendering`. What is done does not depend on the logits:
shapes are fixed, and nothing is waited for. It is the way of accelerators, and on a CPU that of
grids in which most pixels are uncertain; of one-channel predictions, and of margins without a
bound.

Margins are measured in strips of rows, warped logits compared in blocks of classes. How large these
are, `core.pieces` says. On a CPU a block is a class: what is held is one class of the result, not K
of them. An accelerator takes everything at once, as far as its memory allows.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_pointrend.core.decision import decide
from mmseg_pointrend.core.geometry import Crop, Resize, Warp, mixes_pixels, warp_map
from mmseg_pointrend.core.label_rendering.grid import Chosen, label_dtype, of_regions
from mmseg_pointrend.core.pieces import piece_size
from mmseg_pointrend.core.points import pixel_centers
from mmseg_pointrend.core.subdivision import (
    PredictPoints,
    Subdivision,
    most_uncertain_pixels,
    uncertain_pixels,
)
from mmseg_pointrend.core.uncertainty import BoundedMargin, two_largest

#: Rows that a strip has at least, or those around it count too much; and bytes, at most on a CPU,
#: if that is more than one class of the result.
_FEWEST_ROWS, _STRIP = 4, 1 << 20


@dataclass(frozen=True)
class Planes:
    """The last grid, class by class: enlarged logits with predicted points put in.

    Attributes:
        logits: (N, K, h, w), of the grid before.
        size: (H, W) of the last grid.
        indices: (N, P), flat indices y * W + x of the predicted pixels.
        predicted: (N, K, P), their logits.
        refined: (N, P), False for pixels that are certain enough to keep what they have; None if
            there are none.
        labels: (N, H, W), the best classes, where these were found on the way.
    """

    logits: Tensor
    size: tuple[int, int]
    indices: Tensor
    predicted: Tensor
    refined: Tensor | None = None
    labels: Tensor | None = None

    def planes(self, classes: slice, regions: Chosen) -> Tensor:
        """Logits of some classes in some regions: (R, K', H, W)."""
        planes = Resize(*self.size).apply(of_regions(regions, self.logits[:, classes]))
        if not self.indices.shape[1]:
            return planes
        predicted = of_regions(regions, self.predicted[:, classes])
        indices = of_regions(regions, self.indices)[:, None].expand_as(predicted)
        flat = planes.flatten(2)
        if self.refined is not None:
            refined = of_regions(regions, self.refined)[:, None]
            predicted = torch.where(refined, predicted, flat.gather(2, indices))
        # In place: where points were predicted a step has enlarged the grid, into a new tensor.
        return flat.scatter_(2, indices, predicted).unflatten(2, self.size)

    def warped_labels(self, warp: Warp, regions: Chosen, threshold: float | None) -> Tensor:
        """Decide about the pixels of warped regions: (R, H', W')."""
        if self.labels is not None and not mixes_pixels(warp, self.size):
            return warp_map(of_regions(regions, self.labels)[:, None], warp)[:, 0].contiguous()
        blocks = self._blocks(warp, regions)
        if self.logits.shape[1] == 1:
            logits = warp_map(self.planes(next(blocks), regions), warp)
            return decide(logits, threshold).to(torch.uint8)
        dtype = label_dtype(self.logits.shape[1])
        largest, best = _best_classes(warp_map(self.planes(next(blocks), regions), warp), dtype)
        if best is None:
            best = torch.zeros(largest.shape, dtype=dtype, device=largest.device)
        for classes in blocks:
            found, label = _best_classes(warp_map(self.planes(classes, regions), warp), dtype)
            if label is None:
                best.masked_fill_(found > largest, classes.start)
            else:
                best = torch.where(found > largest, label + classes.start, best)
            largest = torch.maximum(largest, found)
        return best

    def _blocks(self, warp: Warp, regions: Chosen) -> Iterator[slice]:
        """Cut the classes into blocks, of which one is a piece of work."""
        plane = max(1, len(of_regions(regions, self.logits)) * _most_pixels(self.size, warp))
        # On a CPU two classes one after the other are faster than the maximum over both.
        piece = piece_size(self.logits.device, self.logits.itemsize, cache=0)
        count = max(1, piece // plane)
        for first in range(0, self.logits.shape[1], count):
            yield slice(first, first + count)


def fits_at_once(logits: Tensor, size: tuple[int, int], warp: Warp) -> bool:
    """Whether a last grid of that size, warped so that pixels mix, is best held as a whole.

    Args:
        logits: (N, K, h, w), the coarse ones.
        size: (H, W) of the last grid.
        warp: what follows.
    """
    need = logits.shape[0] * logits.shape[1] * _most_pixels(size, warp)
    return mixes_pixels(warp, size) and need <= piece_size(logits.device, logits.itemsize, cache=0)


def _most_pixels(size: tuple[int, int], warp: Warp) -> int:
    """Number of pixels of a map, or of the largest map that it becomes."""
    most = math.prod(size)
    for step in warp:
        size = step.result_size(size)
        most = max(most, math.prod(size))
    return most


def _best_classes(logits: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Find the largest of (R, K', H, W) logits, and which of several classes have them."""
    if logits.shape[1] == 1:
        return logits[:, 0], None
    largest, label = logits.max(1)
    return largest, label.to(dtype)


def subdivide_into_planes(
    logits: Tensor, predict_points: PredictPoints, subdivision: Subdivision, keep_labels: bool
) -> Planes:
    """Do a last step.

    Args:
        logits: (N, K, h, w), of the grid before.
        predict_points: (N, P, 2) points -> (N, K, P) logits.
        subdivision: its `num_points` is a number.
        keep_labels: whether the labels of the grid itself are wanted.
    """
    scale = subdivision.scale_factor
    size = (logits.shape[2] * scale, logits.shape[3] * scale)
    margins, labels = _measure(logits, subdivision, keep_labels)
    num_points, refined = subdivision.count_points(size), None
    if subdivision.max_margin < math.inf:
        indices, refined = uncertain_pixels(margins, num_points, subdivision.max_margin)
    else:
        indices = most_uncertain_pixels(margins, num_points)
    if not indices.shape[1]:
        return dataclasses.replace(without_step(logits), size=size, labels=labels)
    predicted = predict_points(pixel_centers(indices, size, logits.dtype)).to(logits.dtype)
    if labels is not None:
        flat, best = labels.flatten(1), predicted.argmax(1).to(labels.dtype)
        if refined is not None:
            best = torch.where(refined, best, flat.gather(1, indices))
        labels = flat.scatter(1, indices, best).unflatten(1, size)
    return Planes(logits, size, indices, predicted, refined, labels)


def without_step(logits: Tensor) -> Planes:
    """Take (N, K, H, W) logits as the last grid."""
    size = (logits.shape[2], logits.shape[3])
    none = torch.zeros(len(logits), 0, dtype=torch.int64, device=logits.device)
    return Planes(logits, size, none, logits.new_empty(*logits.shape[:2], 0))


def _measure(
    logits: Tensor, subdivision: Subdivision, keep_labels: bool
) -> tuple[Tensor, Tensor | None]:
    """Find margins (N, H, W) of the enlarged logits and, if there are several classes, labels."""
    margin, num_classes = subdivision.margin, logits.shape[1]
    height = logits.shape[2] * subdivision.scale_factor
    margins, labels = _Rows(height), _Rows(height)
    for strip in _strips(logits, subdivision.scale_factor):
        if num_classes == 1:
            margins.add(margin(strip))
            continue
        largest, second, label = _two_largest(strip)
        if keep_labels:
            labels.add(label.to(label_dtype(num_classes)))
        if isinstance(margin, BoundedMargin):
            margins.add(margin.of_largest(largest, second, strip))
        else:
            margins.add(margin(strip))
    assert margins.joined is not None
    return margins.joined, labels.joined


class _Rows:
    """A map put together from strips (N, H', W) as they come; one of full height is not copied.

    Attributes:
        joined: (N, H, W); None as long as there is none.
    """

    def __init__(self, height: int) -> None:
        self._height, self._filled = height, 0
        self.joined: Tensor | None = None

    def add(self, strip: Tensor) -> None:
        """Put a strip below the others."""
        last = self._filled + strip.shape[1]
        if strip.shape[1] == self._height:
            self.joined = strip
        else:
            if self.joined is None:
                self.joined = strip.new_empty(len(strip), self._height, strip.shape[2])
            self.joined[:, self._filled : last] = strip
        self._filled = last


def _two_largest(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Do as `core.two_largest`, where it is faster class by class; the logits are a strip's own."""
    if logits.device.type != "cpu" or torch.compiler.is_compiling():
        return two_largest(logits, in_place=True)
    largest, *others = logits.unbind(1)
    second = torch.full_like(largest, -torch.inf)
    labels = torch.zeros_like(largest, dtype=label_dtype(logits.shape[1]))
    for k, plane in enumerate(others, 1):
        labels.masked_fill_(plane > largest, k)
        second = torch.maximum(second, torch.minimum(largest, plane))
        largest = torch.maximum(largest, plane)
    return largest, second, labels


def _strips(logits: Tensor, scale: int) -> Iterator[Tensor]:
    """Enlarge (N, K, h, w) logits some rows at a time; a row more on either side is looked at."""
    num_regions, num_classes, height, width = logits.shape
    plane = num_regions * height * width * scale**2
    row = max(1, num_regions * num_classes * width * scale**2)
    piece = max(piece_size(logits.device, logits.itemsize, cache=_STRIP), plane)
    count = max(_FEWEST_ROWS, piece // row)
    for first in range(0, height, count):
        last = min(first + count, height)
        above, below = max(first - 1, 0), min(last + 1, height)
        # Contiguous, or the planes of a channels-last map would be walked with long strides.
        strip = logits[:, :, above:below].contiguous()
        strip = Resize((below - above) * scale, width * scale).apply(strip)
        yield Crop((first - above) * scale, 0, (last - first) * scale, width * scale).apply(strip)
