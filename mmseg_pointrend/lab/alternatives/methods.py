"""What is compared, from a network's result on: names, functions, and settings to choose from."""

import dataclasses
from collections.abc import Callable

from torch import Tensor, nn

from mmseg_pointrend.lab.alternatives.dense_crf import CrfSettings, dense_crf
from mmseg_pointrend.lab.alternatives.guided_filter import guided_filter, guided_upsampling
from mmseg_pointrend.lab.alternatives.network_result import NetworkResult, decide_probabilities

#: A model and what its network found -> (1, H', W') labels of the picture, on the CPU.
Method = Callable[[nn.Module, NetworkResult], Tensor]

COARSE = "coarse map, bilinear"
CRF = "dense CRF"
#: PointRend with so many times the config's N.
POINT_FACTORS = {"PointRend, N / 2": 0.5, "PointRend": 1, "PointRend, 2 N": 2, "PointRend, 4 N": 4}


def interpolate(model: nn.Module, found: NetworkResult) -> Tensor:
    """Decide by the coarse logits, enlarged bilinearly."""
    head, meta = model.decode_head, found.sample.metainfo
    return head.coarse_labels(found.coarse_logits, [meta], found.size)[0][None].cpu()


def render_with(factor: float) -> Method:
    """Make the method that renders with so many times the config's points."""

    def render(model: nn.Module, found: NetworkResult) -> Tensor:
        head, meta = model.decode_head, found.sample.metainfo
        own, grid = head.subdivision, found.coarse_logits.shape[2:]
        points = max(1, round(factor * own.count_points((grid[0], grid[1]))))
        head.subdivision = dataclasses.replace(own, num_points=points)
        try:
            labels = head.predict_labels(
                found.features, [meta], found.size, coarse_logits=found.coarse_logits
            )
        finally:
            head.subdivision = own
        return labels[0][None].cpu()

    return render


def filter_with(function: Callable[[Tensor, Tensor], Tensor], enlarged: bool = True) -> Method:
    """Make the method that filters probabilities by the picture.

    Args:
        function: (1, 3, H, W) picture, (1, K, ., .) probabilities -> (1, K, H, W).
        enlarged: whether it is given the enlarged probabilities, or those of the coarse grid.
    """

    def filtered(model: nn.Module, found: NetworkResult) -> Tensor:
        probabilities = function(found.picture, found.probabilities(enlarged))
        return decide_probabilities(model, probabilities, found.sample)

    return filtered


def _guided(function: Callable[..., Tensor], radius: int, epsilon: float, enlarged: bool) -> Method:
    return filter_with(lambda picture, values: function(picture, values, radius, epsilon), enlarged)


def _crf(settings: CrfSettings) -> Method:
    return filter_with(lambda picture, values: dense_crf(picture, values, settings))


#: What needs no settings.
FIXED: dict[str, Method] = {
    COARSE: interpolate,
    **{name: render_with(factor) for name, factor in POINT_FACTORS.items()},
}
#: Squares of colour differences that count as flat: from 0.003 to 0.1.
EPSILONS = (1e-5, 1e-4, 1e-3, 1e-2)
#: What needs some: name -> settings in words -> method. Which are best is chosen on validation
#: pictures.
TO_CHOOSE: dict[str, dict[str, Method]] = {
    "guided filter": {
        f"radius {radius} px, epsilon {epsilon:g}": _guided(guided_filter, radius, epsilon, True)
        for radius in (4, 8, 16)
        for epsilon in EPSILONS
    },
    "guided upsampling": {
        f"radius {radius}, epsilon {epsilon:g}": _guided(guided_upsampling, radius, epsilon, False)
        for radius in (1, 2, 4)
        for epsilon in EPSILONS
    },
    CRF: {
        # The package's example, and what DeepLabv2 had for pictures of 500 px.
        "3, 3 px; 10, 80 px, 13 levels; 5 iterations": _crf(CrfSettings()),
        "3, 1 px; 4, 67 px, 3 levels; 10 iterations": _crf(CrfSettings(3, 1, 4, 67, 3, 10)),
        # Milder: less weight, shorter reach.
        "1, 1 px; 2, 20 px, 5 levels; 5 iterations": _crf(CrfSettings(1, 1, 2, 20, 5, 5)),
    },
}
