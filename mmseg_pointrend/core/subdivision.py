"""Rendering a coarse prediction by adaptive subdivision (paper, sec. 3.1 and Fig. 4).

This is the plain, dense form: every step holds all logits of its grid. It is written to be read and
to be the reference that any faster renderer must equal; `core.label_rendering` is one.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_pointrend.core.geometry import Resize
from mmseg_pointrend.core.points import pixel_centers
from mmseg_pointrend.core.shapes import check_shape, is_integer
from mmseg_pointrend.core.uncertainty import BoundedMargin, Margin, logit_margin

#: The point head with its features: (N, P, 2) points -> (N, K, P) logits.
PredictPoints = Callable[[Tensor], Tensor]

#: The rule of the paper's sec. 5: as many points as the picture's map of stride 16 has pixels.
STRIDE_16 = "stride-16"


@dataclass(frozen=True)
class Subdivision:
    """How a coarse prediction is rendered.

    Attributes:
        steps: number of subdivision steps; 0 leaves the coarse prediction as it is.
        num_points: N of the paper, points re-predicted in every step (all pixels if fewer): a
            number; or "stride-16", the number of pixels of the last grid's map of stride 16 (8192
            for 1024x2048); or a fraction of the last grid's pixels, a float in (0, 1].
        scale_factor: enlargement in a step, an integer >= 2.
        max_margin: only pixels whose margin is below it are predicted anew, at most N. A step that
            finds none does not ask the point head.
        margin: (N, K, H, W) logits -> (N, H, W) margins, which order the pixels.

    Raises:
        ValueError: for a setting out of range.

    Example:
        >>> Subdivision(steps=2, num_points="stride-16").count_points((256, 512))
        8192
        >>> Subdivision(steps=3).grid_size((16, 32))
        (128, 256)
    """

    steps: int = 2
    num_points: int | float | str = 8192
    scale_factor: int = 2
    max_margin: float = math.inf
    margin: Margin = logit_margin

    def __post_init__(self) -> None:
        if not is_integer(self.steps) or self.steps < 0:
            raise ValueError(f"steps must be an integer >= 0, got {self.steps!r}")
        _check_budget(self.num_points)
        if not is_integer(self.scale_factor) or self.scale_factor < 2:
            raise ValueError(f"scale_factor must be an integer >= 2, got {self.scale_factor!r}")
        if not self.max_margin > 0:
            raise ValueError(
                f"max_margin must be > 0, got {self.max_margin!r}; 0 would predict no pixel"
            )
        if not callable(self.margin):
            raise ValueError(
                f"margin must be a function (N, K, ...) -> (N, ...), got {self.margin!r}"
            )

    def grid_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Size (H, W) of the last grid, given that of the coarse one."""
        factor = self.scale_factor**self.steps
        return size[0] * factor, size[1] * factor

    def count_points(self, size: tuple[int, int]) -> int:
        """N as a number, given the size (h, w) of the coarse grid."""
        height, width = self.grid_size(size)
        if isinstance(self.num_points, str):
            return max(1, math.ceil(height / 16) * math.ceil(width / 16))
        if is_integer(self.num_points):
            return int(self.num_points)
        return max(1, round(self.num_points * height * width))

    def full_steps(self, size: tuple[int, int]) -> int:
        """Number of the last step that predicts every pixel of its grid; 0 if none does.

        Of the steps before it nothing is left.

        Args:
            size: (h, w) of the coarse grid.

        Example:
            >>> Subdivision(steps=5, num_points=28 * 28).full_steps((7, 7))
            2
        """
        if self.max_margin < math.inf:
            return 0
        num_points, number = self.count_points(size), 0
        while number < self.steps and num_points >= math.prod(size) * self.scale_factor**2:
            size = (size[0] * self.scale_factor, size[1] * self.scale_factor)
            number += 1
        return number

    def more_steps(self, number: int) -> "Subdivision":
        """The same with so many steps more (or fewer)."""
        return dataclasses.replace(self, steps=self.steps + number)


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
    coarse_logits: Tensor, predict_points: PredictPoints, subdivision: Subdivision
) -> Iterator[SubdivisionStep]:
    """Render step by step: enlarge bilinearly, then re-predict the most uncertain pixels.

    Args:
        coarse_logits: (N, K, h, w).
        predict_points: (N, P, 2) points -> (N, K, P) logits; the point head with its features.
        subdivision: how many steps and points, and which ones.

    Yields:
        one record a step; its grid is `scale_factor` times the one before.

    Raises:
        ValueError: for logits of another shape.

    Example:
        >>> coarse = torch.tensor([[[[-4.0, 4.0]]]])
        >>> subdivision = Subdivision(steps=1, num_points=4)
        >>> (step,) = subdivide(coarse, lambda points: torch.full((1, 1, 4), 9.0), subdivision)
        >>> step.logits
        tensor([[[[-4.,  9.,  9.,  4.],
                  [-4.,  9.,  9.,  4.]]]])
    """
    check_shape("coarse_logits", coarse_logits, "(N, K, h, w)")
    num_points = subdivision.count_points((coarse_logits.shape[2], coarse_logits.shape[3]))
    logits = coarse_logits
    dtype = torch.promote_types(logits.dtype, torch.float32)
    for _ in range(subdivision.steps):
        size = (
            logits.shape[2] * subdivision.scale_factor,
            logits.shape[3] * subdivision.scale_factor,
        )
        # A new tensor, in which the rest of the step may work.
        logits = Resize(*size).apply(logits)
        margin = subdivision.margin
        if isinstance(margin, BoundedMargin) and not logits.requires_grad:
            margins = margin(logits, in_place=True)
        else:
            margins = margin(logits)
        indices, refined = uncertain_pixels(margins, num_points, subdivision.max_margin)
        points = pixel_centers(indices, size, dtype)
        if indices.shape[1]:
            predicted = predict_points(points).to(logits.dtype)
            all_refined = subdivision.max_margin == math.inf
            logits = _replace(logits, indices, None if all_refined else refined, predicted)
        yield SubdivisionStep(logits, points, indices, refined)


def _replace(logits: Tensor, indices: Tensor, refined: Tensor | None, predicted: Tensor) -> Tensor:
    """Put predicted logits in, those of `refined` points, or of all."""
    flat, indices = logits.flatten(2), indices.unsqueeze(1).expand_as(predicted)
    if refined is not None:
        predicted = torch.where(refined.unsqueeze(1), predicted, flat.gather(2, indices))
    return flat.scatter_(2, indices, predicted).unflatten(2, logits.shape[2:])


def render(
    coarse_logits: Tensor, predict_points: PredictPoints, subdivision: Subdivision
) -> Tensor:
    """Render coarse logits; the arguments are those of `subdivide`.

    Returns:
        (N, K, h * scale_factor ** steps, w * scale_factor ** steps); for 0 steps the coarse logits.

    Raises:
        ValueError: for logits of another shape.

    Example:
        >>> coarse = torch.randn(1, 2, 7, 7)
        >>> predict_points = lambda points: points.transpose(1, 2)  # (N, P, 2) -> (N, 2, P)
        >>> render(coarse, predict_points, Subdivision(steps=5, num_points=28 * 28)).shape
        torch.Size([1, 2, 224, 224])
    """
    check_shape("coarse_logits", coarse_logits, "(N, K, h, w)")
    logits = coarse_logits
    for step in lasting_steps(coarse_logits, predict_points, subdivision):
        logits = step.logits
    return logits


def lasting_steps(
    coarse_logits: Tensor, predict_points: PredictPoints, subdivision: Subdivision
) -> Iterator[SubdivisionStep]:
    """Render as `subdivide` does, but leave steps out of which nothing is left in the end.

    These are the ones before a step that predicts every pixel of its grid
    (`Subdivision.full_steps`). If there is such a step, it is the first.

    Example:
        >>> coarse, predict_points = torch.zeros(1, 1, 7, 7), lambda points: points[..., :1].mT
        >>> subdivision = Subdivision(steps=5, num_points=28 * 28)
        >>> [step.logits.shape[2] for step in lasting_steps(coarse, predict_points, subdivision)]
        [28, 56, 112, 224]
    """
    check_shape("coarse_logits", coarse_logits, "(N, K, h, w)")
    size = (coarse_logits.shape[2], coarse_logits.shape[3])
    vain = max(0, subdivision.full_steps(size) - 1)
    grid = subdivision.more_steps(vain - subdivision.steps).grid_size(size)
    left = dataclasses.replace(
        subdivision, steps=subdivision.steps - vain, num_points=subdivision.count_points(size)
    )
    return subdivide(Resize(*grid).apply(coarse_logits), predict_points, left)


def most_uncertain_pixels(margins: Tensor, num_points: int) -> Tensor:
    """Choose the pixels of smallest margin (paper, sec. 3.1, "Inference").

    Args:
        margins: (N, H, W).
        num_points: how many in each region; all pixels where there are fewer.

    Returns:
        (N, min(num_points, H W)) flat indices y * W + x, the most uncertain first.

    Raises:
        ValueError: for `num_points` < 1, or margins of another shape.

    Example:
        >>> most_uncertain_pixels(torch.tensor([[[0.9, 0.1], [0.5, 0.7]]]), 2)
        tensor([[1, 2]])
    """
    check_shape("margins", margins, "(N, H, W)")
    if not is_integer(num_points) or num_points < 1:
        raise ValueError(f"num_points (N) must be an integer >= 1, got {num_points!r}")
    flat = margins.flatten(1)
    return flat.topk(min(num_points, flat.shape[1]), dim=1, largest=False).indices


def uncertain_pixels(
    margins: Tensor, num_points: int, max_margin: float = math.inf
) -> tuple[Tensor, Tensor]:
    """Choose the pixels of smallest margin among those with a margin below `max_margin`.

    Args:
        margins: (N, H, W).
        num_points: how many in each region at most.
        max_margin: pixels with this margin or a larger one count as certain.

    Returns:
        (N, P) flat indices, the most uncertain first, and (N, P) bool: which of them are below
        `max_margin`. P is the largest number in any region on a CPU; elsewhere, where it would have
        to be waited for, and in what is compiled it is the same whatever the margins are.

    Raises:
        ValueError: for `num_points` < 1, or margins of another shape.

    Example:
        >>> margins = torch.tensor([[[0.9, 0.1]], [[0.8, 0.7]]])
        >>> indices, refined = uncertain_pixels(margins, 2, max_margin=0.5)
        >>> indices.tolist(), refined.tolist()
        ([[1], [1]], [[True], [False]])
    """
    indices = most_uncertain_pixels(margins, num_points)
    if max_margin == math.inf:
        return indices, torch.ones_like(indices, dtype=torch.bool)
    below = margins.flatten(1).gather(1, indices) < max_margin
    if margins.device.type != "cpu" or torch.compiler.is_compiling() or not below.numel():
        return indices, below
    count = int(below.sum(1).max())
    return indices[:, :count], below[:, :count]


def _check_budget(num_points: int | float | str) -> None:
    if isinstance(num_points, str):
        valid = num_points == STRIDE_16
    elif isinstance(num_points, float):
        valid = 0 < num_points <= 1
    else:
        valid = is_integer(num_points) and num_points >= 1
    if not valid:
        raise ValueError(
            "num_points (N) must be an integer >= 1, a fraction of the pixels in (0.0, 1.0] or "
            f"{STRIDE_16!r}, got {num_points!r}"
        )
