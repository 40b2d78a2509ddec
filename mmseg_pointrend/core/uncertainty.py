"""How sure a prediction is: margins, small where it is uncertain.

The paper measures uncertainty in a semantic map as the difference between the two most confident
class probabilities (sec. 5) and in a binary mask as the distance of the probability to 0.5 (sec.
4). detectron2 and mmsegmentation, and with them the published weights, use the logits instead.

Any callable is a margin. One that is a `BoundedMargin` besides says how small the difference of
the two largest logits must be for a given margin; labels are then rendered the sparse way.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

#: (N, K, ...) logits -> (N, ...) margins, the smaller the less certain.
Margin = Callable[[Tensor], Tensor]


class BoundedMargin(ABC):
    """A margin that the gap, the difference of the two largest logits, bounds from below."""

    def __call__(self, logits: Tensor, in_place: bool = False) -> Tensor:
        """Measure logits; for one channel, the distance to a probability of 0.5.

        Args:
            logits: (N, K, ...).
            in_place: see `two_largest`.

        Returns:
            (N, ...), >= 0, at least float32, in which differences of float16 do not overflow.

        Raises:
            ValueError: for logits without a dimension of classes.
        """
        if logits.dim() < 2 or logits.shape[1] < 1:
            raise ValueError(
                f"logits must have shape (N, K, ...) with K >= 1, got {tuple(logits.shape)}"
            )
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if logits.shape[1] == 1:
            return self.of_binary(logits[:, 0])
        largest, second, _ = two_largest(logits, in_place)
        return self.of_largest(largest, second, logits)

    @abstractmethod
    def of_binary(self, logit: Tensor) -> Tensor:
        """Measure the one logit of a binary prediction."""

    @abstractmethod
    def of_largest(self, largest: Tensor, second: Tensor, logits: Tensor) -> Tensor:
        """Measure (N, K, ...) logits of which the two largest, (N, ...), are known already."""

    @abstractmethod
    def gap_at(self, margin: Tensor, num_classes: int) -> Tensor:
        """Find the gaps from which on the margin is certainly not below the given one."""


class LogitMargin(BoundedMargin):
    """Difference of the two largest logits; for one channel the absolute logit.

    Example:
        >>> LogitMargin()(torch.tensor([[[3.0], [1.0], [-2.0]]]))
        tensor([[2.]])
    """

    def of_binary(self, logit: Tensor) -> Tensor:
        """Measure the distance to the logit 0."""
        return logit.abs()

    def of_largest(self, largest: Tensor, second: Tensor, logits: Tensor) -> Tensor:
        """Measure the gap itself."""
        return largest - second

    def gap_at(self, margin: Tensor, num_classes: int) -> Tensor:
        """Give the margin back, which is the gap."""
        return margin


class ProbabilityMargin(BoundedMargin):
    """Difference of the two largest class probabilities (paper, sec. 5), in [0, 1].

    For one channel these are sigmoid(x) and 1 - sigmoid(x).

    Example:
        >>> ProbabilityMargin()(torch.tensor([[[0.0], [1.0]]]))
        tensor([[0.4621]])
    """

    def of_binary(self, logit: Tensor) -> Tensor:
        """Measure |2 p - 1|."""
        # sigmoid(x) - sigmoid(-x) = tanh(x / 2), without the rounding of a difference near 1.
        return (logit.abs() / 2).tanh()

    def of_largest(self, largest: Tensor, second: Tensor, logits: Tensor) -> Tensor:
        """Measure (e^largest - e^second) / sum of e^logit."""
        # Without the rounding of a difference.
        return -(largest - logits.logsumexp(1)).exp() * (second - largest).expm1()

    def gap_at(self, margin: Tensor, num_classes: int) -> Tensor:
        """Invert the smallest probability margin that a gap m allows.

        It is (1 - e^-m) / (1 + (K - 1) e^-m): all other classes as strong as the second.
        """
        margin = margin.clamp(max=1)  # of which the gap is infinite
        return ((1 + margin * (num_classes - 1)) / (1 - margin)).log()


def two_largest(logits: Tensor, in_place: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Find the best class and the two largest logits; two passes are faster than a partial sort.

    Args:
        logits: (N, K, ...), K >= 2.
        in_place: work in the logits' memory instead of a copy; in the end they are what they were.

    Returns:
        the largest (N, ...), the second largest, and the index of the largest, int64; the first of
        several equal ones.
    """
    largest, label = logits.max(dim=1)
    best = label.unsqueeze(1)
    if torch.compiler.is_compiling():
        # What a compiler joins with the maxima, so that no copy is stored.
        classes = torch.arange(logits.shape[1], device=logits.device)
        classes = classes.view(-1, *[1] * (logits.dim() - 2))
        others = logits.masked_fill(classes == best, -math.inf)
    elif in_place:
        others = logits.scatter_(1, best, -math.inf)
    else:
        others = logits.scatter(1, best, -math.inf)
    second = others.amax(dim=1)
    if others is logits:
        logits.scatter_(1, best, largest.unsqueeze(1))
    return largest, second, label


logit_margin = LogitMargin()
probability_margin = ProbabilityMargin()
MARGINS: dict[str, BoundedMargin] = {"logit": logit_margin, "probability": probability_margin}
