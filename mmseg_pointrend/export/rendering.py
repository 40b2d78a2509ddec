"""Adaptive subdivision as one graph for coarse maps of any size.

`core.render` decides by the size of a map how many points there are, and which steps are in vain.
A graph that is traced once cannot: here every step has N points, and where a grid has fewer pixels,
some are predicted several times. The logits are the same.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pointrend.core import PredictPoints, Resize, Subdivision, pixel_centers


def render_any_size(
    coarse_logits: Tensor,
    predict_points: PredictPoints,
    subdivision: Subdivision,
    most_at_once: int | None = None,
) -> Tensor:
    """Render as `core.render` does, by operators that do not depend on the size of the maps.

    Args:
        coarse_logits: (N, K, h, w).
        predict_points: (N, P, 2) points -> (N, K, P) logits.
        subdivision: how many steps and points, and which ones. A number of points that is a
            fraction needs (h, w) that are numbers.
        most_at_once: pixels that one top-k may choose, see `smallest`.

    Returns:
        (N, K, h * scale_factor ** steps, w * scale_factor ** steps).
    """
    logits, factor = coarse_logits, subdivision.scale_factor
    num_points = _count_points(subdivision, coarse_logits)
    for _ in range(subdivision.steps):
        size = (logits.shape[2] * factor, logits.shape[3] * factor)
        logits = Resize(*size).apply(logits)
        margins = subdivision.margin(logits).flatten(1)
        indices = smallest(margins, num_points, most_at_once)
        predicted = predict_points(pixel_centers(indices, size, logits.dtype))
        flat, places = logits.flatten(2), indices.unsqueeze(1).expand_as(predicted)
        if subdivision.max_margin < math.inf:
            below = margins.gather(1, indices) < subdivision.max_margin
            predicted = predicted.where(below.unsqueeze(1), flat.gather(2, places))
        logits = flat.scatter(2, places, predicted).unflatten(2, size)
    return logits


def smallest(values: Tensor, count: int, most_at_once: int | None = None) -> Tensor:
    """Find the places of the smallest values by top-k of a fixed length.

    Args:
        values: (N, M), not infinite.
        count: how many.
        most_at_once: the largest k of a top-k; TensorRT has none above 3840. More are found round
            by round: the values that are chosen are struck out, and the next ones looked for.

    Returns:
        (N, count), the smallest first; where there are fewer than `count`, the last one of the M
        places fills up.

    Example:
        >>> smallest(torch.tensor([[3.0, 1.0, 2.0]]), count=2, most_at_once=1)
        tensor([[1, 2]])
    """
    places = values.shape[1]
    values = F.pad(values, (0, count), value=math.inf)
    found = []
    for first in range(0, count, most_at_once or count):
        chosen = min(count - first, most_at_once or count)
        found.append(values.topk(chosen, dim=1, largest=False).indices)
        if first + chosen < count:
            values = values.scatter(1, found[-1], math.inf)
    indices = found[0] if len(found) == 1 else torch.cat(found, dim=1)
    return indices.clamp(max=places - 1)


def _count_points(subdivision: Subdivision, coarse_logits: Tensor) -> int:
    """N, which depends on the size of the last grid if it is that of the map of stride 16."""
    size = (coarse_logits.shape[2], coarse_logits.shape[3])
    if not isinstance(subdivision.num_points, str):
        return subdivision.count_points(size)
    height, width = subdivision.grid_size(size)
    return ((height + 15) // 16) * ((width + 15) // 16)
