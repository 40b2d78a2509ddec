"""Counts of single operators against formulas, and against mmengine's port of fvcore."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from mmengine.analysis import ActivationAnalyzer, FlopAnalyzer
from torch import nn

from mmseg_pointrend.lab.counting.operator_cost import Cost, measure


def cost(work: Callable[[], object]) -> Cost:
    return measure(work)[1]


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_convolutions(device: str) -> None:
    with torch.device(device):
        points, image = torch.ones(2, 5, 11), torch.ones(1, 4, 7, 9)
        assert cost(lambda: nn.Conv1d(5, 3, 1)(points)) == (2 * 11 * 5 * 3, 2 * 11 * 3)
        # 3x4 outputs; a group reads 2 of the 4 channels.
        strided = nn.Conv2d(4, 8, 3, stride=2, groups=2)
        assert cost(lambda: strided(image)) == (3 * 4 * 9 * 2 * 8, 3 * 4 * 8)
        # Every input pixel is multiplied with the whole kernel.
        enlarging = nn.ConvTranspose2d(4, 6, 2, stride=2)
        assert cost(lambda: enlarging(image)) == (7 * 9 * 4 * 4 * 6, 14 * 18 * 6)


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_costs_the_same_however_it_is_computed(device: str, bias: bool) -> None:
    """A hidden layer of a point head as convolution, linear layer or product."""
    with torch.device(device):
        conv = nn.Conv1d(5, 3, 1, bias=bias)
        weight, points = conv.weight[:, :, 0], torch.ones(2, 5, 11)
        expected = (2 * 11 * 5 * 3, 2 * 11 * 3)
        assert cost(lambda: conv(points)) == expected
        assert cost(lambda: F.linear(points.transpose(1, 2), weight, conv.bias)) == expected
        assert cost(lambda: weight @ points) == expected
        assert cost(lambda: torch.einsum("oi,bip->bop", weight, points)) == expected
        if bias:
            product = (conv.bias[None, :, None].expand(2, 3, 11), weight.expand(2, 3, 5), points)
            assert cost(lambda: torch.baddbmm(*product)) == expected

        def without_autograd() -> torch.Tensor:
            with torch.inference_mode():
                return F.linear(points.transpose(1, 2), weight, conv.bias)

        assert cost(without_autograd) == expected


def test_the_rest_is_free_and_results_come_back() -> None:
    def work() -> torch.Tensor:
        x = F.batch_norm(torch.ones(1, 2, 4, 4), torch.zeros(2), torch.ones(2)).relu()
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
        return F.grid_sample(x, torch.zeros(1, 3, 1, 2), align_corners=False)

    result, free = measure(work)
    assert free == (0, 0)
    torch.testing.assert_close(result, torch.ones(1, 2, 3, 1), rtol=1e-4, atol=0)
    assert not measure(lambda: nn.Linear(2, 2)(torch.ones(1, 2)))[0].requires_grad


def test_fvcore_counts_the_same() -> None:
    """mmengine.analysis is a port of fvcore; its other operators are not counted here."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.Flatten(2),
        nn.Conv1d(4, 6, 1),
        nn.Linear(100, 7),
    ).eval()
    image = torch.ones(2, 3, 11, 11)
    flops = FlopAnalyzer(model, image).by_operator()
    activations = ActivationAnalyzer(model, image).total()
    assert cost(lambda: model(image)) == (flops["conv"] + flops["linear"], activations)
