"""How strongly training points are biased towards uncertain places (paper, Fig. 5 and Table 4)."""

from typing import NamedTuple


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


REGULAR_GRID = "regular-grid"
#: Rows of the paper's Table 4; a regular grid has no bias and nothing random.
TRAINING_STRATEGIES: dict[str, Bias | None] = {
    REGULAR_GRID: None,
    "uniform": Bias(1.0, 0.0),
    "mildly-biased": Bias(3.0, 0.75),
    "heavily-biased": Bias(10.0, 1.0),
}
#: The best of Table 4, and what sec. 5 trains with.
_DEFAULT = "mildly-biased"


def resolve_bias(
    strategy: str | None = None,
    oversample_ratio: float | None = None,
    importance_sample_ratio: float | None = None,
) -> Bias | None:
    """Turn the name of a strategy, or k and beta, into k and beta.

    Args:
        strategy: a key of `TRAINING_STRATEGIES`.
        oversample_ratio: k, >= 1; without a strategy 3 by default.
        importance_sample_ratio: beta, in [0, 1]; without a strategy 0.75 by default.

    Returns:
        k and beta; None for a regular grid.

    Raises:
        ValueError: for an unknown strategy, numbers out of range, or numbers other than the
            strategy's.
    """
    given = dict(oversample_ratio=oversample_ratio, importance_sample_ratio=importance_sample_ratio)
    given = {name: number for name, number in given.items() if number is not None}
    if strategy is None:
        bias = TRAINING_STRATEGIES[_DEFAULT]._replace(**given)
        _check_range(*bias)
        return bias
    if strategy not in TRAINING_STRATEGIES:
        raise ValueError(f"strategy must be one of {list(TRAINING_STRATEGIES)}, got {strategy!r}")
    bias = TRAINING_STRATEGIES[strategy]
    for name, number in given.items():
        if bias is None or number != getattr(bias, name):
            meant = "has no random points" if bias is None else f"means {getattr(bias, name)}"
            raise ValueError(
                f"{name}={number} contradicts strategy={strategy!r}, which {meant}; "
                "give the strategy, or oversample_ratio (k) and importance_sample_ratio (beta)"
            )
    return bias


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
