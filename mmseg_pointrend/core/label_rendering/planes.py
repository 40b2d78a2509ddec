"""Labels from the logits of all pixels of the last grid, one class at a time.

Part of rendering labels, see `core.label_rendering`: for grids in which most pixels are uncertain,
for one-channel predictions, and for margins without a bound. Margins are measured in strips of a
few rows; what is held is one class of the result, not K of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_pointrend.core.decision import decide
from mmseg_pointrend.core.geometry import Crop, Resize, Warp, mixes_pixels, warp_map
from mmseg_pointrend.core.label_rendering.grid import label_dtype, of_regions
from mmseg_pointrend.core.points import pixel_centers
from mmseg_pointrend.core.subdivision import PredictPoints, Subdivision, uncertain_pixels
from mmseg_pointrend.core.uncertainty import BoundedMargin

#: Rows that a strip has at least, or those around it count too much; and floats, at least.
_FEWEST_ROWS, _FEWEST_FLOATS = 4, 1 << 18


@dataclass(frozen=True)
class Planes:
    """The last grid, class by class: enlarged logits with predicted points put in.

    Attributes:
        logits: (N, K, h, w), of the grid before.
        size: (H, W) of the last grid.
        indices: (N, P), flat indices y * W + x of the predicted pixels.
        predicted: (N, K, P), their logits.
        labels: (N, H, W), the best classes, where these were found on the way.
    """

    logits: Tensor
    size: tuple[int, int]
    indices: Tensor
    predicted: Tensor
    labels: Tensor | None = None

    def plane(self, k: int, regions: Tensor) -> Tensor:
        """Logits of class k, (R, 1, H, W), in regions (R,)."""
        plane = Resize(*self.size).apply(of_regions(regions, self.logits[:, k : k + 1]))
        if not self.indices.shape[1]:
            return plane
        predicted = of_regions(regions, self.predicted[:, k : k + 1])
        plane = plane.flatten(2).scatter(2, of_regions(regions, self.indices)[:, None], predicted)
        return plane.unflatten(2, self.size)

    def warped_labels(self, warp: Warp, regions: Tensor, threshold: float | None) -> Tensor:
        """Decide about the pixels of warped regions (R,): (R, H', W')."""
        num_classes = self.logits.shape[1]
        if self.labels is not None and not mixes_pixels(warp, self.size):
            return warp_map(of_regions(regions, self.labels)[:, None], warp)[:, 0].contiguous()
        largest = warp_map(self.plane(0, regions), warp)
        if num_classes == 1:
            return decide(largest, threshold).to(torch.uint8)
        best = torch.zeros(largest.shape, dtype=label_dtype(num_classes), device=largest.device)
        for k in range(1, num_classes):
            plane = warp_map(self.plane(k, regions), warp)
            best.masked_fill_(plane > largest, k)
            largest = torch.maximum(largest, plane)
        return best[:, 0]


def subdivide_into_planes(
    logits: Tensor, predict_points: PredictPoints, subdivision: Subdivision
) -> Planes:
    """Do a last step.

    Args:
        logits: (N, K, h, w), of the grid before.
        predict_points: (N, P, 2) points -> (N, K, P) logits.
        subdivision: its `num_points` is a number.
    """
    scale = subdivision.scale_factor
    size = (logits.shape[2] * scale, logits.shape[3] * scale)
    margins, labels = _measure(logits, size, subdivision)
    indices, refined = uncertain_pixels(
        margins, subdivision.count_points(size), subdivision.max_margin
    )
    everything = torch.arange(len(logits), device=logits.device)
    planes = Planes(logits, size, indices[:, :0], logits.new_empty(*logits.shape[:2], 0), labels)
    if not indices.shape[1]:
        return planes
    predicted = predict_points(pixel_centers(indices, size, logits.dtype)).to(logits.dtype)
    if not refined.all():
        # Those that are certain enough keep what they have.
        kept = [
            planes.plane(k, everything).flatten(2).gather(2, indices[:, None])
            for k in range(predicted.shape[1])
        ]
        predicted = torch.where(refined[:, None], predicted, torch.cat(kept, dim=1))
    if labels is not None:
        best = predicted.argmax(1).to(labels.dtype)
        labels = labels.flatten(1).scatter(1, indices, best).unflatten(1, size)
    return Planes(logits, size, indices, predicted, labels)


def without_step(logits: Tensor) -> Planes:
    """Take (N, K, H, W) logits as the last grid."""
    size = (logits.shape[2], logits.shape[3])
    none = torch.zeros(len(logits), 0, dtype=torch.int64, device=logits.device)
    return Planes(logits, size, none, logits.new_empty(*logits.shape[:2], 0))


def _measure(
    logits: Tensor, size: tuple[int, int], subdivision: Subdivision
) -> tuple[Tensor, Tensor | None]:
    """Find margins (N, H, W) and, with several classes, labels of the enlarged logits."""
    num_regions, num_classes = logits.shape[:2]
    margin = subdivision.margin
    margins = logits.new_empty(num_regions, *size)
    if num_classes == 1:
        for rows, strip in _strips(logits, subdivision.scale_factor):
            margins[:, rows] = margin(strip)
        return margins, None
    labels = margins.new_empty(margins.shape, dtype=label_dtype(num_classes))
    for rows, strip in _strips(logits, subdivision.scale_factor):
        largest, second = _two_largest(strip, labels[:, rows])
        if isinstance(margin, BoundedMargin):
            margins[:, rows] = margin.of_largest(largest, second, strip)
        else:
            margins[:, rows] = margin(strip)
    return margins, labels


def _two_largest(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Find the two largest of (N, K, H, W) logits, and write the best classes, class by class."""
    largest, *others = logits.unbind(1)
    second = torch.full_like(largest, -torch.inf)
    labels.zero_()
    for k, plane in enumerate(others, 1):
        labels.masked_fill_(plane > largest, k)
        second = torch.maximum(second, torch.minimum(largest, plane))
        largest = torch.maximum(largest, plane)
    return largest, second


def _strips(logits: Tensor, scale: int) -> Iterator[tuple[slice, Tensor]]:
    """Enlarge (N, K, h, w) logits some rows at a time; a row more on either side is looked at.

    A strip is about as large as one class of the result.
    """
    num_regions, num_classes, height, width = logits.shape
    plane = num_regions * height * width * scale**2
    row = max(1, num_regions * num_classes * width * scale**2)
    count = max(_FEWEST_ROWS, max(_FEWEST_FLOATS, plane) // row)
    for first in range(0, height, count):
        last = min(first + count, height)
        above, below = max(first - 1, 0), min(last + 1, height)
        # Contiguous, or the planes of a channels-last map would be walked with long strides.
        strip = logits[:, :, above:below].contiguous()
        strip = Resize((below - above) * scale, width * scale).apply(strip)
        cut = Crop((first - above) * scale, 0, (last - first) * scale, width * scale)
        yield slice(first * scale, last * scale), cut.apply(strip)
