"""Parts of one's own: built by name, config or as they are; and mistakes in them."""

import pytest
import torch
from mmseg.registry import MODELS, TASK_UTILS
from torch import Tensor, nn

from mmseg_pointrend.core import MARGINS, Subdivision, TrainingPoints, render
from tests.models.builders import build_head, feature_maps, samples_of


@TASK_UTILS.register_module()
class SquaredGap:
    """A margin without a bound, with an argument."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def __call__(self, logits: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            return self.scale * logits[:, 0] ** 2
        largest = logits.topk(2, dim=1).values
        return self.scale * (largest[:, 0] - largest[:, 1]) ** 2


@TASK_UTILS.register_module()
class Corner:
    """A sampler: always the upper left corner."""

    def __init__(self, num_points: int) -> None:
        self.num_points = num_points

    def __call__(self, logits: Tensor, margin) -> Tensor:
        assert margin(logits).shape == (len(logits), *logits.shape[2:])
        assert not torch.is_grad_enabled()
        return logits.new_zeros(len(logits), self.num_points, 2)


@MODELS.register_module()
class Linear(nn.Module):
    """A point head."""

    def __init__(self, in_channels: int, out_channels: int, in_index: int = 0) -> None:
        super().__init__()
        self.in_channels, self.in_index = in_channels, in_index
        self.last = nn.Conv1d(in_channels + out_channels, out_channels, 1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return self.last(torch.cat([fine, coarse], dim=1))


@MODELS.register_module()
class Silent(nn.Module):
    """A point head that does not say what it reads."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()


@MODELS.register_module()
class Wide(Linear):
    """A point head whose logits are not those of points."""

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return super().forward(fine, coarse).unsqueeze(3)


@pytest.mark.parametrize(
    ("config", "scale"),
    [("SquaredGap", 1), (dict(type="SquaredGap", scale=3.0), 3), (SquaredGap(2.0), 2)],
    ids=["name", "config", "object"],
)
def test_a_margin_by_name_config_or_as_it_is(config, scale: float) -> None:
    margin = build_head(uncertainty=config).margin
    assert isinstance(margin, SquaredGap) and margin.scale == scale


@pytest.mark.parametrize("name", MARGINS)
def test_built_in_margins_by_name(name: str) -> None:
    assert build_head(uncertainty=name).margin is MARGINS[name]


@pytest.mark.parametrize("binary", [False, True])
def test_a_margin_of_ones_own_is_rendered_as_the_reference_says(binary: bool) -> None:
    options = dict(num_classes=2, out_channels=1) if binary else {}
    head = build_head(uncertainty="SquaredGap", **options).double().eval()
    inputs = [x.double() for x in feature_maps(64, 96, 2)]
    coarse = head.coarse_prediction(inputs)
    features = head.point_features(inputs, coarse)
    subdivision = Subdivision(2, 64, margin=SquaredGap())
    logits = render(coarse, lambda points: head.point_logits(features, points), subdivision)
    labels = head.predict_labels(inputs, [{}, {}], (64, 96))
    expected = (logits[:, 0] > 0) if binary else logits.argmax(1)
    assert torch.equal(torch.stack(labels).long(), expected.long())


def test_a_sampler_and_a_point_head_of_ones_own() -> None:
    head = build_head(
        training_points=dict(type="Corner", num_points=7),
        point_head=dict(type="Linear", in_channels=8),
    ).train()
    seen = []
    head.point_head.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    losses = head.loss(feature_maps(64, 64, 2), samples_of(torch.randint(0, 4, (2, 64, 64))))
    losses["point.loss_ce"].backward()
    assert seen == [(2, 8, 7)]
    assert head.point_head.last.weight.grad.abs().sum() > 0
    head.eval()
    assert head(feature_maps(64, 64)).shape == (1, 4, 64, 64)


def test_settings_without_a_type_are_those_of_core() -> None:
    assert build_head(training_points=None).training_points == TrainingPoints()
    head = build_head(training_points=dict(num_points=3, strategy="uniform"), subdivision=None)
    assert head.training_points == TrainingPoints(3, "uniform")
    assert head.subdivision == Subdivision()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            dict(uncertainty=lambda logits: logits),
            r"uncertainty=.* of \(1, 4, 2, 3\) it makes \(1, 4, 2, 3\), not \(1, 2, 3\)",
        ),
        (dict(uncertainty=lambda logits: 0), r"it makes int, not \(1, 2, 3\)"),
        (dict(uncertainty=SquaredGap), "uncertainty must be a function"),
        (dict(uncertainty=3), "uncertainty must be a function .* got 3"),
        (
            dict(uncertainty="entropy"),
            r"uncertainty must be one of \['logit', 'probability'\], or a type registered in "
            "TASK_UTILS, got 'entropy'",
        ),
        (dict(point_head=dict(type="Silent")), "point_head Silent has no in_index and no in_chan"),
        (
            dict(point_head=dict(type="Linear", in_channels=8, in_index=[0, 1])),
            r"in_channels=\[8\] and point_head.in_index=\[0, 1\] must name as many feature maps",
        ),
    ],
)
def test_mistakes_are_named_when_the_head_is_built(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_head(**changes)


def test_logits_of_another_shape_are_named() -> None:
    head = build_head(point_head=dict(type="Wide", in_channels=8)).eval()
    with pytest.raises(
        ValueError, match=r"point_head Wide must give logits \(N, K, P\), here \(1, 4, 64\), got"
    ):
        head(feature_maps(64, 64))
