"""From logits to labels: the one place where it is decided which class a pixel or a point has."""

import torch
from torch import Tensor

#: With one logit, the probability above which a pixel is class 1.
THRESHOLD = 0.5


def decide(logits: Tensor, threshold: float | None = None) -> Tensor:
    """Decide by logits: the largest wins, the first of several equal ones.

    Args:
        logits: (N, K, ...). With K = 1 the logit of class 1 against class 0.
        threshold: with K = 1, the probability above which the label is 1; `THRESHOLD` by default.

    Returns:
        (N, ...), int64.

    Raises:
        ValueError: for logits without a dimension of classes.

    Example:
        >>> decide(torch.tensor([[[0.2, 3.0], [0.7, -1.0]]]))
        tensor([[1, 0]])
        >>> decide(torch.tensor([[[0.0, 2.0]]]), threshold=0.8)
        tensor([[0, 1]])
    """
    _check_classes("logits", logits)
    if logits.shape[1] == 1:
        return decide_by_probability(logits.sigmoid(), threshold)
    return logits.argmax(dim=1)


def decide_by_probability(probabilities: Tensor, threshold: float | None = None) -> Tensor:
    """Decide by probabilities, for instance by the mean of those of several views.

    Args:
        probabilities: (N, K, ...). With K = 1 the probability of class 1.
        threshold: as for `decide`.

    Returns:
        (N, ...), int64.

    Raises:
        ValueError: for probabilities without a dimension of classes.

    Example:
        >>> decide_by_probability(torch.tensor([[[0.3, 0.6]]]))
        tensor([[0, 1]])
    """
    _check_classes("probabilities", probabilities)
    if probabilities.shape[1] == 1:
        return (probabilities[:, 0] > (THRESHOLD if threshold is None else threshold)).long()
    return probabilities.argmax(dim=1)


def confidence(logits: Tensor, threshold: float | None = None) -> Tensor:
    """Tell the probability of the class that `decide` chooses.

    Args:
        logits: (N, K, ...); softmax of them, with K = 1 sigmoid, are probabilities.
        threshold: as for `decide`.

    Returns:
        (N, ...), in [0, 1], at least in float32.

    Raises:
        ValueError: for logits without a dimension of classes.

    Example:
        >>> confidence(torch.tensor([[[0.0, 50.0], [0.0, -50.0]]]))
        tensor([[0.5000, 1.0000]])
        >>> confidence(torch.tensor([[[0.0, -50.0]]]))
        tensor([[0.5000, 1.0000]])
    """
    _check_classes("logits", logits)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if logits.shape[1] == 1:
        probability = logits.sigmoid()
        chosen = decide_by_probability(probability, threshold).bool()
        return torch.where(chosen, probability[:, 0], 1 - probability[:, 0])
    largest = logits.amax(dim=1)
    # Class by class: no second tensor of K times the pixels.
    total = torch.zeros_like(largest)
    for plane in logits.unbind(1):
        total += (plane - largest).exp_()
    return total.reciprocal_()


def two_best(logits: Tensor, threshold: float | None = None) -> tuple[Tensor, Tensor]:
    """Tell the class that `decide` chooses and the next best one, and their probabilities.

    Args:
        logits: (N, K, ...); softmax of them, with K = 1 sigmoid, are probabilities.
        threshold: as for `decide`.

    Returns:
        classes (N, 2, ...), int64, and probabilities (N, 2, ...), at least in float32.

    Raises:
        ValueError: for logits without a dimension of classes.

    Example:
        >>> classes, probabilities = two_best(torch.tensor([[[0.0], [2.0], [1.0]]]))
        >>> classes.tolist(), probabilities.flatten()
        ([[[1], [2]]], tensor([0.6652, 0.2447]))
    """
    best = decide(logits, threshold)[:, None]
    probability = confidence(logits, threshold)[:, None]
    if logits.shape[1] == 1:
        return torch.cat([best, 1 - best], 1), torch.cat([probability, 1 - probability], 1)
    others = logits.to(probability.dtype).scatter(1, best, -torch.inf)
    second, following = others.max(1, keepdim=True)
    gap = logits.gather(1, best).to(second.dtype) - second
    classes = torch.cat([best, following], 1)
    return classes, torch.cat([probability, probability * gap.neg().exp()], 1)


def _check_classes(name: str, values: Tensor) -> None:
    if values.dim() < 2 or values.shape[1] < 1:
        raise ValueError(
            f"{name} must have shape (N, K, ...) with K >= 1, got {tuple(values.shape)}"
        )
