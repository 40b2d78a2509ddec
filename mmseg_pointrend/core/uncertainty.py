"""How sure a prediction is: margins, small where it is uncertain.

The paper measures uncertainty in a semantic map as the difference between the two most confident
class probabilities (sec. 5) and in a binary mask as the distance of the probability to 0.5 (sec.
4). detectron2 and mmsegmentation, and with them the published weights, use the logits instead.
"""

import math
from abc import ABC, abstractmethod

from torch import Tensor


class Margin(ABC):
    """A measure of certainty: called with (N, K, ...) logits it gives (N, ...) margins >= 0."""

    def __call__(self, logits: Tensor) -> Tensor:
        """Measure logits; for one channel, the distance to a probability of 0.5."""
        if logits.shape[1] == 1:
            return self.of_binary(logits[:, 0])
        largest, second, _ = two_largest(logits)
        return self.of_largest(largest, second, logits.logsumexp(1) if self.normalised else None)

    #: whether `of_largest` needs the logarithm of the sum of the exponentials of all logits
    normalised: bool

    @abstractmethod
    def of_binary(self, logit: Tensor) -> Tensor:
        """Measure the one logit of a binary prediction."""

    @abstractmethod
    def of_largest(self, largest: Tensor, second: Tensor, normaliser: Tensor | None) -> Tensor:
        """Measure, given the two largest of K logits and, if `normalised`, their logsumexp."""

    @abstractmethod
    def logit_margin_at(self, margin: float, num_classes: int) -> float:
        """Find the logit margin above which this margin is certainly above the given one."""


class LogitMargin(Margin):
    """Difference of the two largest logits; for one channel the absolute logit."""

    normalised = False

    def of_binary(self, logit: Tensor) -> Tensor:  # noqa: D102
        return logit.abs()

    def of_largest(self, largest: Tensor, second: Tensor, normaliser: Tensor | None) -> Tensor:  # noqa: D102
        return largest - second

    def logit_margin_at(self, margin: float, num_classes: int) -> float:  # noqa: D102
        return margin


class ProbabilityMargin(Margin):
    """Difference of the two largest class probabilities (paper, sec. 5), in [0, 1].

    For one channel these are sigmoid(x) and 1 - sigmoid(x).
    """

    normalised = True

    def of_binary(self, logit: Tensor) -> Tensor:  # noqa: D102
        # sigmoid(x) - sigmoid(-x) = tanh(x / 2), without the rounding of a difference near 1.
        return (logit.abs() / 2).tanh()

    def of_largest(self, largest: Tensor, second: Tensor, normaliser: Tensor | None) -> Tensor:  # noqa: D102
        # exp(largest) - exp(second) over the sum of all, without the rounding of a difference.
        return -(largest - normaliser).exp() * (second - largest).expm1()

    def logit_margin_at(self, margin: float, num_classes: int) -> float:
        """Invert the smallest probability margin that a logit margin m allows.

        It is (1 - e^-m) / (1 + (K - 1) e^-m): all other classes as strong as the second.
        """
        if margin >= 1:
            return math.inf
        return math.log((1 + margin * (num_classes - 1)) / (1 - margin))


def two_largest(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the best class and the two largest logits; two passes are faster than a partial sort.

    Args:
        logits: (N, K, ...), K >= 2.

    Returns:
        The largest (N, ...), the second largest, and the index of the largest, int64; the first of
        several equal ones.
    """
    largest, label = logits.max(dim=1)
    others = logits.scatter(1, label.unsqueeze(1), -math.inf)
    return largest, others.amax(dim=1), label


logit_margin = LogitMargin()
probability_margin = ProbabilityMargin()
MARGINS: dict[str, Margin] = {"logit": logit_margin, "probability": probability_margin}
