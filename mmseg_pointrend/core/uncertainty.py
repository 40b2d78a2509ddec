"""How sure a prediction is: margins, small where it is uncertain.

The paper measures uncertainty in a semantic map as the difference between the two most confident
class probabilities (sec. 5) and in a binary mask as the distance of the probability to 0.5 (sec.
4). detectron2 and mmsegmentation, and with them the published weights, use the logits instead.
"""

from collections.abc import Callable

from torch import Tensor

Margin = Callable[[Tensor], Tensor]


def logit_margin(logits: Tensor) -> Tensor:
    """Difference of the two largest logits; for one channel (binary) the absolute logit.

    Args:
        logits: (N, K, ...).

    Returns:
        (N, ...), >= 0.
    """
    if logits.shape[1] == 1:
        return logits[:, 0].abs()
    largest, second = logits.topk(2, dim=1).values.unbind(1)
    return largest - second


def probability_margin(logits: Tensor) -> Tensor:
    """Difference of the two largest class probabilities (paper, sec. 5), in [0, 1].

    For one channel (binary) these are sigmoid(x) and 1 - sigmoid(x).

    Args:
        logits: (N, K, ...).

    Returns:
        (N, ...), in [0, 1].
    """
    if logits.shape[1] == 1:
        # sigmoid(x) - sigmoid(-x) = tanh(x / 2), without the rounding of a difference near 1.
        return (logits[:, 0].abs() / 2).tanh()
    return logit_margin(logits.softmax(1))


MARGINS: dict[str, Margin] = {"logit": logit_margin, "probability": probability_margin}
