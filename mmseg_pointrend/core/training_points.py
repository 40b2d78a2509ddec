"""Which points to train on: at random, but biased towards uncertain places (paper, sec. 3.1).

Training can also do without the bias, or without randomness: see `TRAINING_STRATEGIES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mmseg_pointrend.core.points import point_sample, regular_grid
from mmseg_pointrend.core.shapes import check_shape, is_integer
from mmseg_pointrend.core.uncertainty import Margin, logit_margin

#: What chooses training points: (N, K, h, w) logits, margin -> (N, P, 2) points.
Sampler = Callable[[Tensor, Margin], Tensor]


class Bias(NamedTuple):
    """The two numbers that describe a random choice of training points (paper, sec. 3.1).

    Attributes:
        oversample_ratio: k, candidates for each point.
        importance_sample_ratio: beta, share of the points that are the most uncertain candidates.
    """

    oversample_ratio: float
    importance_sample_ratio: float

    def count_candidates(self, num_points: int) -> int:
        """How many random points are looked at for N points: k N, rounded down."""
        return int(self.oversample_ratio * num_points)

    def count_important(self, num_points: int) -> int:
        """How many of N points are the most uncertain candidates: beta N, rounded down."""
        return int(self.importance_sample_ratio * num_points)


#: The best of the paper's Table 4, and what sec. 5 trains with.
_MILDLY_BIASED = Bias(3.0, 0.75)
#: Rows of Table 4; a regular grid has no bias and nothing random.
TRAINING_STRATEGIES: dict[str, Bias | None] = {
    "regular-grid": None,
    "uniform": Bias(1.0, 0.0),
    "mildly-biased": _MILDLY_BIASED,
    "heavily-biased": Bias(10.0, 1.0),
}


@dataclass(frozen=True)
class TrainingPoints:
    """How many points to train on, and how they are chosen: a `Sampler`.

    Attributes:
        num_points: N of the paper, points in each image or region.
        strategy: "regular-grid", "uniform" (k = 1, beta = 0), "mildly-biased" (3, 0.75) or
            "heavily-biased" (10, 1), in place of k and beta.
        oversample_ratio: k of the paper, >= 1; without a strategy 3 by default.
        importance_sample_ratio: beta of the paper, in [0, 1]; without a strategy 0.75 by default.

    Raises:
        ValueError: for settings out of range, or k or beta other than the strategy's.

    Example:
        >>> TrainingPoints(196, "heavily-biased").bias
        Bias(oversample_ratio=10.0, importance_sample_ratio=1.0)
    """

    num_points: int = 2048
    strategy: str | None = None
    oversample_ratio: float | None = None
    importance_sample_ratio: float | None = None

    def __post_init__(self) -> None:
        _check_num_points(self.num_points)
        if self.strategy is None:
            _check_range(*self._bias_of_numbers())
        elif self.strategy not in TRAINING_STRATEGIES:
            raise ValueError(
                f"strategy must be one of {list(TRAINING_STRATEGIES)}, got {self.strategy!r}"
            )
        else:
            self._check_contradictions(TRAINING_STRATEGIES[self.strategy])

    @property
    def bias(self) -> Bias | None:
        """K and beta; None for a regular grid."""
        if self.strategy is None:
            return self._bias_of_numbers()
        return TRAINING_STRATEGIES[self.strategy]

    def __call__(self, logits: Tensor, margin: Margin) -> Tensor:
        """Choose points, see `select_training_points`."""
        return select_training_points(logits, self, margin)

    def _numbers(self) -> dict[str, float]:
        given = dict(
            oversample_ratio=self.oversample_ratio,
            importance_sample_ratio=self.importance_sample_ratio,
        )
        return {name: number for name, number in given.items() if number is not None}

    def _bias_of_numbers(self) -> Bias:
        return _MILDLY_BIASED._replace(**self._numbers())

    def _check_contradictions(self, bias: Bias | None) -> None:
        for name, number in self._numbers().items():
            if bias is None or number != getattr(bias, name):
                meant = "has no random points" if bias is None else f"means {getattr(bias, name)}"
                raise ValueError(
                    f"{name}={number} contradicts strategy={self.strategy!r}, which {meant}; give "
                    "the strategy, or oversample_ratio (k) and importance_sample_ratio (beta)"
                )


@torch.no_grad()
def select_training_points(
    logits: Tensor,
    training_points: TrainingPoints,
    margin: Margin = logit_margin,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Choose points to train on, biased towards uncertain places (paper, sec. 3.1, "Training").

    Over-generation: k N points are drawn uniformly. Importance: the beta N most uncertain of them
    are kept. Coverage: (1 - beta) N more are drawn uniformly. `"regular-grid"` is the one strategy
    without random points, see `regular_grid`.

    The logits are interpolated *before* their margin is taken. The other way round is wrong:
    half-way between the logits -1 and +1 the prediction is 0, as uncertain as can be, although the
    margin is 1 at both ends.

    Args:
        logits: (N, K, h, w), the coarse prediction.
        training_points: how many, and k and beta.
        margin: (N, K, P) logits -> (N, P) margins.
        generator: source of randomness; torch's global one by default.

    Returns:
        (N, num_points, 2), (x, y) in [0, 1), float32 (float64 for float64 logits); the important
        points first, those of a grid row by row.

    Raises:
        ValueError: for logits of another shape.

    Example:
        >>> logits = torch.tensor([[[[-1.0, 1.0]]]])  # uncertain at x = 0.5
        >>> points = select_training_points(logits, TrainingPoints(8, "heavily-biased"))
        >>> points.shape, bool((points[..., 0] - 0.5).abs().max() < 0.25)
        (torch.Size([1, 8, 2]), True)
    """
    check_shape("logits", logits, "(N, K, h, w)")
    num_points, bias = training_points.num_points, training_points.bias
    num_regions = logits.shape[0]
    dtype = torch.promote_types(logits.dtype, torch.float32)
    if bias is None:
        size = (logits.shape[2], logits.shape[3])
        return regular_grid(num_points, size, dtype, logits.device).repeat(num_regions, 1, 1)

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


def _check_num_points(num_points: int) -> None:
    if not is_integer(num_points) or num_points < 1:
        raise ValueError(f"num_points (N) must be an integer >= 1, got {num_points!r}")


def _check_range(oversample_ratio: float, importance_sample_ratio: float) -> None:
    if not oversample_ratio >= 1:
        raise ValueError(
            f"oversample_ratio (k) must be >= 1, got {oversample_ratio}; the paper uses 3"
        )
    if not 0 <= importance_sample_ratio <= 1:
        raise ValueError(
            "importance_sample_ratio (beta) must lie in [0, 1], "
            f"got {importance_sample_ratio}; the paper uses 0.75"
        )
