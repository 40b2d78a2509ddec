"""The point head and its variants, beside mmsegmentation's and worked out by hand."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_pointrend.models import PointMLP
from tests.models.builders import feature_maps  # noqa: F401 - sets mmseg's scope


def fill(head: torch.nn.Module, value: float) -> None:
    for parameter in head.parameters():
        torch.nn.init.constant_(parameter, value)


@pytest.mark.parametrize(
    ("act_cfg", "hidden"), [(dict(type="ELU"), -0.8646647), (dict(type="ReLU"), 0.0), (None, -2.0)]
)
def test_one_layer_by_hand(act_cfg: dict | None, hidden: float) -> None:
    """All weights 1, fine -4 and coarse 1: hidden f(-4 + 1 + 1), e^-2 - 1 for ELU; then + 1 + 1."""
    head = PointMLP(in_channels=1, out_channels=1, channels=1, num_fcs=1, act_cfg=act_cfg)
    fill(head, 1.0)
    logits = head(torch.tensor([[[-4.0]]]), torch.tensor([[[1.0]]]))
    torch.testing.assert_close(logits, torch.tensor([[[hidden + 2]]]))


def test_no_layer_is_linear_by_hand() -> None:
    """Weights 1 and bias 1: 2 + 3 of two fine channels, 5 of the coarse one."""
    head = PointMLP(in_channels=2, out_channels=1, num_fcs=0)
    fill(head, 1.0)
    assert [tuple(p.shape) for p in head.parameters()] == [(1, 3, 1), (1,)]
    assert head(torch.tensor([[[2.0], [3.0]]]), torch.tensor([[[5.0]]])).tolist() == [[[11.0]]]


@pytest.mark.parametrize("activation", ["ReLU", "ELU"])
@pytest.mark.parametrize("num_fcs", [0, 1, 3])
@pytest.mark.parametrize("channels", [1, 24, 40])
@pytest.mark.parametrize("each_layer", [True, False])
def test_variants_are_those_of_mmsegmentation(
    activation: str, num_fcs: int, channels: int, each_layer: bool
) -> None:
    """Weights copied; values and gradients in double precision."""
    shared = dict(
        in_channels=[10], in_index=[0], channels=channels, num_fcs=num_fcs,
        coarse_pred_each_layer=each_layer, act_cfg=dict(type=activation),
    )  # fmt: skip
    upstream = MODELS.build(
        dict(type="PointHead", num_classes=5, dropout_ratio=-1, **shared)
    ).double()
    ours = PointMLP(out_channels=5, **shared).double()
    for parameter in upstream.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    upstream.conv_seg = None  # of its base class, and in no use
    ours.load_state_dict(upstream.state_dict(), strict=True)
    fine, coarse = (torch.randn(2, c, 7, dtype=torch.double, requires_grad=True) for c in (10, 5))
    results: list[list[Tensor]] = []
    for head in (upstream, ours):
        logits = head(fine, coarse)
        weights = [p for name, p in sorted(head.named_parameters())]
        gradients = torch.autograd.grad(logits.square().sum(), [fine, coarse, *weights])
        results.append([logits, *gradients])
    for theirs, mine in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("num_fcs", [0, 1])
def test_a_small_head_learns(num_fcs: int) -> None:
    """A rule that is linear in the features: the sign of the sum of the first of both kinds."""
    torch.manual_seed(0)
    head = PointMLP(
        in_channels=6, out_channels=2, channels=8, num_fcs=num_fcs, act_cfg=dict(type="ELU")
    )
    head.init_weights()
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    fine, coarse = torch.randn(1, 6, 400), torch.randn(1, 2, 400)
    labels = (fine[:, 0] + coarse[:, 0] > 0).long()
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(head(fine, coarse), labels).backward()
        optimizer.step()
    assert (head(fine, coarse).argmax(1) == labels).float().mean() > 0.97


@pytest.mark.parametrize("num_fcs", [0, 2])
@pytest.mark.parametrize("each_layer", [True, False])
def test_one_class_of_each_region_is_that_of_all(num_fcs: int, each_layer: bool) -> None:
    """Values and gradients; `fc_seg` without and with the coarse logits."""
    torch.manual_seed(0)
    head = PointMLP(5, 4, channels=6, num_fcs=num_fcs, coarse_pred_each_layer=each_layer).double()
    fine, coarse = torch.randn(3, 5, 7).double(), torch.randn(3, 4, 7).double()
    classes = torch.tensor([3, 0, 3])
    every = head(fine, coarse)[torch.arange(3), classes][:, None]
    found = head(fine, coarse, classes)
    torch.testing.assert_close(found, every, rtol=0, atol=1e-12)
    weights = list(head.parameters())
    expected = torch.autograd.grad(every.sin().sum(), weights)
    torch.testing.assert_close(torch.autograd.grad(found.sin().sum(), weights), expected)


def test_one_class_without_regions() -> None:
    head = PointMLP(5, 4, channels=6)
    found = head(torch.zeros(0, 5, 7), torch.zeros(0, 4, 7), torch.zeros(0).long())
    assert found.shape == (0, 1, 7)
