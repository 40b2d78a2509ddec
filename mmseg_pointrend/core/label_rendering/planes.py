"""Labels from the logits of all pixels, one class at a time.

For grids in which most pixels are uncertain, and for one-channel predictions. The largest tensor is
one class of the result, not K of them.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg_pointrend.core.geometry import Resize, Warp, warp_map
from mmseg_pointrend.core.label_rendering.grid import label_dtype
from mmseg_pointrend.core.label_rendering.warping import only_indexes
from mmseg_pointrend.core.points import pixel_centers
from mmseg_pointrend.core.selection import uncertain_pixels
from mmseg_pointrend.core.subdivision import PredictPoints, subdivide
from mmseg_pointrend.core.uncertainty import Margin


def render_planes(
    logits: Tensor,
    steps: int,
    predict_points: PredictPoints,
    num_points: int,
    scale_factor: int,
    margin: Margin,
    max_margin: float,
    warps: Sequence[Warp],
    threshold: float,
) -> list[Tensor]:
    """Render labels; the arguments are those of `render_labels`, N and the warps resolved."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    for step in subdivide(
        logits, predict_points, max(steps - 1, 0), num_points, scale_factor, margin, max_margin
    ):
        logits = step.logits
    planes = _Planes(logits, steps > 0, scale_factor)
    if steps > 0:
        planes.refine(predict_points, num_points, margin, max_margin)
    return [planes.labels(region, warp, threshold) for region, warp in enumerate(warps)]


class _Planes:
    """The last grid, class by class: enlarged logits with predicted points put in.

    Args:
        logits: (N, K, h, w).
        enlarge: whether a last step is to be done.
        scale: its scale factor.
    """

    def __init__(self, logits: Tensor, enlarge: bool, scale: int) -> None:
        self.logits = logits
        scale = scale if enlarge else 1
        self.size = (logits.shape[2] * scale, logits.shape[3] * scale)
        self.indices = self.predicted = self.best = None

    def plane(self, k: int, region: slice = slice(None)) -> Tensor:
        """Logits of class k, (N, 1, H, W)."""
        plane = warp_map(self.logits[region, k : k + 1], [Resize(*self.size)])
        if self.predicted is not None:
            plane = plane.flatten(2).scatter(
                2, self.indices[region, None], self.predicted[region, k : k + 1]
            )
            plane = plane.unflatten(2, self.size)
        return plane

    def refine(
        self, predict_points: PredictPoints, num_points: int, margin: Margin, max_margin: float
    ) -> None:
        """Predict the most uncertain pixels."""
        margins = self._margins(margin)
        indices, refined = uncertain_pixels(margins, num_points, max_margin)
        if not indices.shape[1]:
            return
        predicted = predict_points(pixel_centers(indices, self.size, self.logits.dtype))
        predicted = predicted.to(self.logits.dtype)
        if not refined.all():
            # Those that are certain enough keep what they have.
            kept = [
                self.plane(k).flatten(2).gather(2, indices[:, None])
                for k in range(predicted.shape[1])
            ]
            predicted = torch.where(refined[:, None], predicted, torch.cat(kept, dim=1))
        self.indices, self.predicted = indices, predicted
        if self.best is not None:
            best = predicted.argmax(1).to(self.best.dtype)
            self.best = self.best.flatten(1).scatter(1, indices, best).unflatten(1, self.size)

    def _margins(self, margin: Margin) -> Tensor:
        """Compute the margins (N, H, W), and the best classes on the way."""
        largest = self.plane(0)[:, 0]
        if self.logits.shape[1] == 1:
            return margin.of_binary(largest)
        second = torch.full_like(largest, -math.inf)
        normaliser = largest.clone() if margin.normalised else None
        best = torch.zeros(
            largest.shape, dtype=label_dtype(self.logits.shape[1]), device=largest.device
        )
        for k in range(1, self.logits.shape[1]):
            plane = self.plane(k)[:, 0]
            best.masked_fill_(plane > largest, k)
            second = torch.maximum(second, torch.minimum(largest, plane))
            largest = torch.maximum(largest, plane)
            if normaliser is not None:
                normaliser = torch.logaddexp(normaliser, plane)
        self.best = best
        return margin.of_largest(largest, second, normaliser)

    def labels(self, region: int, warp: Warp, threshold: float) -> Tensor:
        """Decide about the pixels of a warped region: (H', W')."""
        num_classes = self.logits.shape[1]
        part = slice(region, region + 1)
        if self.best is not None and only_indexes(warp, self.size):
            return warp_map(self.best[part, None], warp)[0, 0]
        largest = warp_map(self.plane(0, part), warp)[0, 0]
        if num_classes == 1:
            return (largest.sigmoid() > threshold).to(torch.uint8)
        best = torch.zeros(largest.shape, dtype=label_dtype(num_classes), device=largest.device)
        for k in range(1, num_classes):
            plane = warp_map(self.plane(k, part), warp)[0, 0]
            best.masked_fill_(plane > largest, k)
            largest = torch.maximum(largest, plane)
        return best
