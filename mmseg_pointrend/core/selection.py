"""Which points to predict: at random but biased in training, the most uncertain in inference.

Training can also do without the bias, or without randomness: see `TRAINING_STRATEGIES`.
"""

import math

import torch
from torch import Tensor

from mmseg_pointrend.core.points import point_sample, regular_grid
from mmseg_pointrend.core.strategies import resolve_bias
from mmseg_pointrend.core.uncertainty import Margin, logit_margin


@torch.no_grad()
def select_training_points(
    logits: Tensor,
    num_points: int,
    oversample_ratio: float | None = None,
    importance_sample_ratio: float | None = None,
    margin: Margin = logit_margin,
    generator: torch.Generator | None = None,
    strategy: str | None = None,
) -> Tensor:
    """Choose points to train on, biased towards uncertain places (paper, sec. 3.1, "Training").

    Over-generation: k N points are drawn uniformly. Importance: the beta N most uncertain of them
    are kept. Coverage: (1 - beta) N more are drawn uniformly. The bias is given by k and beta, or
    by the name that the paper's Table 4 has for them; `"regular-grid"` is the one strategy without
    random points, see `regular_grid`.

    The logits are interpolated *before* their margin is taken. The other way round is wrong:
    half-way between the logits -1 and +1 the prediction is 0, as uncertain as can be, although the
    margin is 1 at both ends.

    Args:
        logits: (N, K, h, w), the coarse prediction.
        num_points: N of the paper, points in each region.
        oversample_ratio: k of the paper, >= 1; 3 by default.
        importance_sample_ratio: beta of the paper, in [0, 1]; 0.75 by default.
        margin: (N, K, P) logits -> (N, P) margins.
        generator: source of randomness; torch's global one by default.
        strategy: "regular-grid", "uniform" (k = 1, beta = 0), "mildly-biased" (3, 0.75) or
            "heavily-biased" (10, 1), in place of k and beta.

    Returns:
        (N, num_points, 2), (x, y) in [0, 1), float32 (float64 for float64 logits); the important
        points first, those of a grid row by row.

    Raises:
        ValueError: for settings out of range, or k or beta other than the strategy's.
    """
    check_training_selection(num_points, oversample_ratio, importance_sample_ratio, strategy)
    bias = resolve_bias(strategy, oversample_ratio, importance_sample_ratio)
    num_regions = logits.shape[0]
    dtype = torch.promote_types(logits.dtype, torch.float32)
    if bias is None:
        grid = regular_grid(num_points, tuple(logits.shape[2:]), dtype, logits.device)
        return grid.repeat(num_regions, 1, 1)

    def uniform(count: int) -> Tensor:
        return torch.rand(
            (num_regions, count, 2), dtype=dtype, device=logits.device, generator=generator
        )

    num_important = bias.count_important(num_points)
    candidates = uniform(bias.count_candidates(num_points))
    margins = margin(point_sample(logits, candidates))
    chosen = margins.topk(num_important, dim=1, largest=False).indices
    important = candidates.gather(1, chosen.unsqueeze(2).expand(-1, -1, 2))
    return torch.cat([important, uniform(num_points - num_important)], dim=1)


def most_uncertain_pixels(margins: Tensor, num_points: int) -> Tensor:
    """Choose the pixels of smallest margin (paper, sec. 3.1, "Inference").

    Args:
        margins: (N, H, W).
        num_points: how many in each region; all pixels where there are fewer.

    Returns:
        (N, min(num_points, H W)) flat indices y * W + x, the most uncertain first.

    Raises:
        ValueError: for `num_points` < 1.
    """
    _check_num_points(num_points)
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
        (N, P) flat indices, the most uncertain first, P being the largest number in any region,
        and (N, P) bool: which of them are below `max_margin`.
    """
    indices = most_uncertain_pixels(margins, num_points)
    if max_margin == math.inf:
        return indices, torch.ones_like(indices, dtype=torch.bool)
    below = margins.flatten(1).gather(1, indices) < max_margin
    count = int(below.sum(1).max()) if below.numel() else 0
    return indices[:, :count], below[:, :count]


def check_training_selection(
    num_points: int,
    oversample_ratio: float | None = None,
    importance_sample_ratio: float | None = None,
    strategy: str | None = None,
) -> None:
    """Raise ValueError, naming the argument, if `select_training_points` could not take these."""
    _check_num_points(num_points)
    resolve_bias(strategy, oversample_ratio, importance_sample_ratio)


def _check_num_points(num_points: int) -> None:
    if not isinstance(num_points, int) or num_points < 1:
        raise ValueError(f"num_points (N) must be an integer >= 1, got {num_points!r}")
