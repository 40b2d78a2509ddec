"""Rendering a coarse prediction by adaptive subdivision (paper, sec. 3.1 and Fig. 4).

This is the plain, dense form: every step holds all logits of its grid. It is written to be read and
to be the reference that any faster renderer must equal.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pointrend.core.points import pixel_centers
from mmseg_pointrend.core.selection import most_uncertain_pixels
from mmseg_pointrend.core.uncertainty import Margin, logit_margin

PredictPoints = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SubdivisionStep:
    """What one step of the rendering did.

    Attributes:
        logits: (N, K, H, W), the prediction after the step.
        points: (N, P, 2), the points that were predicted anew, the most uncertain first.
        indices: (N, P), the same points as flat pixel indices y * W + x.
    """

    logits: Tensor
    points: Tensor
    indices: Tensor


def subdivide(
    coarse_logits: Tensor,
    predict_points: PredictPoints,
    steps: int,
    num_points: int,
    scale_factor: int = 2,
    margin: Margin = logit_margin,
) -> Iterator[SubdivisionStep]:
    """Render step by step: enlarge bilinearly, then re-predict the most uncertain pixels.

    Args:
        coarse_logits: (N, K, h, w).
        predict_points: (N, P, 2) points -> (N, K, P) logits; the point head with its features.
        steps: number of subdivision steps.
        num_points: N of the paper, points re-predicted in every step (all pixels if fewer).
        scale_factor: enlargement in a step, an integer >= 2.
        margin: (N, K, H, W) logits -> (N, H, W) margins.

    Yields:
        One record a step; its grid is `scale_factor` times the one before.

    Raises:
        ValueError: for settings out of range.
    """
    check_subdivision(steps, num_points, scale_factor)
    logits = coarse_logits
    dtype = torch.promote_types(logits.dtype, torch.float32)
    for _ in range(steps):
        size = (logits.shape[2] * scale_factor, logits.shape[3] * scale_factor)
        logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        indices = most_uncertain_pixels(margin(logits), num_points)
        points = pixel_centers(indices, size, dtype)
        predicted = predict_points(points).to(logits.dtype)
        logits = logits.flatten(2).scatter(2, indices.unsqueeze(1).expand_as(predicted), predicted)
        logits = logits.unflatten(2, size)
        yield SubdivisionStep(logits, points, indices)


def render(
    coarse_logits: Tensor,
    predict_points: PredictPoints,
    steps: int,
    num_points: int,
    scale_factor: int = 2,
    margin: Margin = logit_margin,
) -> Tensor:
    """Render coarse logits; the arguments are those of `subdivide`.

    Returns:
        (N, K, h * scale_factor ** steps, w * scale_factor ** steps); for 0 steps the coarse logits.
    """
    logits = coarse_logits
    for step in subdivide(coarse_logits, predict_points, steps, num_points, scale_factor, margin):
        logits = step.logits
    return logits


def check_subdivision(steps: int, num_points: int, scale_factor: int = 2) -> None:
    """Raise ValueError, naming the argument, if `subdivide` could not take these."""
    if not isinstance(steps, int) or steps < 0:
        raise ValueError(f"steps must be an integer >= 0, got {steps!r}")
    if not isinstance(num_points, int) or num_points < 1:
        raise ValueError(f"num_points (N) must be an integer >= 1, got {num_points!r}")
    if not isinstance(scale_factor, int) or scale_factor < 2:
        raise ValueError(f"scale_factor must be an integer >= 2, got {scale_factor!r}")
