"""Rendering a coarse prediction by adaptive subdivision (paper, sec. 3.1 and Fig. 4).

This is the plain, dense form: every step holds all logits of its grid. It is written to be read and
to be the reference that any faster renderer must equal; `core.label_rendering` is one.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pointrend.core.budget import NumPoints, check_num_points, resolve_num_points
from mmseg_pointrend.core.points import pixel_centers
from mmseg_pointrend.core.selection import uncertain_pixels
from mmseg_pointrend.core.uncertainty import Margin, logit_margin

PredictPoints = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SubdivisionStep:
    """What one step of the rendering did.

    Attributes:
        logits: (N, K, H, W), the prediction after the step.
        points: (N, P, 2), the points that were predicted anew, the most uncertain first.
        indices: (N, P), the same points as flat pixel indices y * W + x.
        refined: (N, P) bool, False for points that fill up: their region had fewer uncertain pixels
            than another one, and they kept their logits. All True without `max_margin`.
    """

    logits: Tensor
    points: Tensor
    indices: Tensor
    refined: Tensor


def subdivide(
    coarse_logits: Tensor,
    predict_points: PredictPoints,
    steps: int,
    num_points: NumPoints,
    scale_factor: int = 2,
    margin: Margin = logit_margin,
    max_margin: float = math.inf,
) -> Iterator[SubdivisionStep]:
    """Render step by step: enlarge bilinearly, then re-predict the most uncertain pixels.

    Args:
        coarse_logits: (N, K, h, w).
        predict_points: (N, P, 2) points -> (N, K, P) logits; the point head with its features.
        steps: number of subdivision steps.
        num_points: N of the paper, points re-predicted in every step (all pixels if fewer); see
            `resolve_num_points` for budgets other than a number.
        scale_factor: enlargement in a step, an integer >= 2.
        margin: (N, K, H, W) logits -> (N, H, W) margins.
        max_margin: only pixels whose margin is below it are predicted anew, at most `num_points`.
            A step that finds none does not ask the point head.

    Yields:
        One record a step; its grid is `scale_factor` times the one before.

    Raises:
        ValueError: for settings out of range.
    """
    check_subdivision(steps, num_points, scale_factor, max_margin)
    num_points = resolve_num_points(
        num_points, tuple(side * scale_factor**steps for side in coarse_logits.shape[2:])
    )
    logits = coarse_logits
    dtype = torch.promote_types(logits.dtype, torch.float32)
    for _ in range(steps):
        size = (logits.shape[2] * scale_factor, logits.shape[3] * scale_factor)
        logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        indices, refined = uncertain_pixels(margin(logits), num_points, max_margin)
        points = pixel_centers(indices, size, dtype)
        if indices.shape[1]:
            logits = _replaced(logits, indices, refined, predict_points(points))
        yield SubdivisionStep(logits, points, indices, refined)


def _replaced(logits: Tensor, indices: Tensor, refined: Tensor, predicted: Tensor) -> Tensor:
    size = logits.shape[2:]
    logits, indices = logits.flatten(2), indices.unsqueeze(1).expand_as(predicted)
    predicted = torch.where(
        refined.unsqueeze(1), predicted.to(logits.dtype), logits.gather(2, indices)
    )
    return logits.scatter(2, indices, predicted).unflatten(2, size)


def render(
    coarse_logits: Tensor,
    predict_points: PredictPoints,
    steps: int,
    num_points: NumPoints,
    scale_factor: int = 2,
    margin: Margin = logit_margin,
    max_margin: float = math.inf,
) -> Tensor:
    """Render coarse logits; the arguments are those of `subdivide`.

    Returns:
        (N, K, h * scale_factor ** steps, w * scale_factor ** steps); for 0 steps the coarse logits.
    """
    logits = coarse_logits
    for step in subdivide(
        coarse_logits, predict_points, steps, num_points, scale_factor, margin, max_margin
    ):
        logits = step.logits
    return logits


def check_subdivision(
    steps: int, num_points: NumPoints, scale_factor: int = 2, max_margin: float = math.inf
) -> None:
    """Raise ValueError, naming the argument, if `subdivide` could not take these."""
    if not isinstance(steps, int) or steps < 0:
        raise ValueError(f"steps must be an integer >= 0, got {steps!r}")
    check_num_points(num_points)
    if not isinstance(scale_factor, int) or scale_factor < 2:
        raise ValueError(f"scale_factor must be an integer >= 2, got {scale_factor!r}")
    if not max_margin > 0:
        raise ValueError(f"max_margin must be > 0, got {max_margin!r}; 0 would predict no pixel")
