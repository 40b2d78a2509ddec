"""Whether a checkpoint's weights are those of a model, and what is said when they are not."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from mmseg_pointrend.engine.weights_check import (
    check_weights,
    describe_fit,
    explain_unset,
    find_not_finite,
    fit_weights,
    weights_of,
)


class Head(nn.Module):
    def __init__(self, classes: int, points: bool) -> None:
        super().__init__()
        self.coarse_head = nn.Conv2d(4, classes, 1)
        if points:
            self.point_head = nn.Sequential(nn.Conv1d(4, 4, 1), nn.Conv1d(4, classes, 1))


class Model(nn.Module):
    def __init__(self, classes: int = 3, points: bool = True, auxiliary: bool = True) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.decode_head = Head(classes, points)
        if auxiliary:
            self.auxiliary_head = nn.Conv2d(4, classes, 1)


def saved(model: nn.Module) -> OrderedDict:
    return OrderedDict((name, value.clone()) for name, value in model.state_dict().items())


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {f"module.{k}": v for k, v in w.items()}])
def test_weights_that_fit_are_loaded(wrap) -> None:
    source, model = Model(), Model()
    fit = fit_weights(model, weights_of(dict(state_dict=wrap(saved(source)))))
    assert (fit.unset, fit.unused, fit.total) == ([], [], len(source.state_dict()) - 1)
    for name, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    assert describe_fit(fit) == f"{fit.total} of {fit.total} loaded"


def test_a_coarse_model() -> None:
    fit = fit_weights(Model(), saved(Model(points=False)))
    assert len(fit.unset) == 4
    text = explain_unset(fit)
    assert text.startswith(
        f"leaves 4 of {fit.total} weights of the model unset (decode_head.point_head"
    )
    assert "and 1 more): it looks like a coarse model without a point head; with allow" in text


def test_the_same_names_in_another_width() -> None:
    wide = {
        name: torch.cat([value, value]) for name, value in saved(Model()).items() if value.dim()
    }
    fit = fit_weights(Model(), wide)
    assert len(fit.mismatched) == fit.total
    assert "have another shape, as with another number of classes or" in explain_unset(fit)


def test_another_number_of_classes() -> None:
    fit = fit_weights(Model(), saved(Model(classes=7)))
    assert set(fit.mismatched) == {
        "decode_head.coarse_head.weight", "decode_head.coarse_head.bias",
        "decode_head.point_head.1.weight", "decode_head.point_head.1.bias",
        "auxiliary_head.weight", "auxiliary_head.bias",
    }  # fmt: skip
    assert "have another shape, as with another number of classes" in explain_unset(fit)


def test_no_name_fits() -> None:
    fit = fit_weights(Model(), {f"student.{name}": v for name, v in saved(Model()).items()})
    assert "no name fits; its own begin with student.backbone.0.weight" in explain_unset(fit)


def test_another_backbone() -> None:
    weights = {name.replace("backbone.", "backbone.stem."): v for name, v in saved(Model()).items()}
    assert "it looks like a model with another backbone" in explain_unset(
        fit_weights(Model(), weights)
    )


def test_predictions_need_no_auxiliary_head_and_no_count_of_batches() -> None:
    weights = saved(Model(auxiliary=False))
    del weights["backbone.1.num_batches_tracked"]
    fit = fit_weights(Model(), weights)
    assert fit.unset == ["auxiliary_head.weight", "auxiliary_head.bias"]
    assert not fit.for_prediction().unset
    assert describe_fit(fit).endswith("initial values: auxiliary_head.weight, auxiliary_head.bias")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value: float) -> None:
    weights = saved(Model())
    assert find_not_finite(weights) is None
    weights["decode_head.coarse_head.bias"][1] = value
    with pytest.raises(ValueError, match=r"x.pth: decode_head.coarse_head.bias holds NaN or inf"):
        check_weights("x.pth", weights)


@pytest.mark.parametrize("weights", [{}, dict(a=1), dict(a=torch.ones(1), b="text")])
def test_something_else(weights: dict) -> None:
    with pytest.raises(
        ValueError, match=r"x.pth is not one of names and tensors: (it is empty|\w+ is a)"
    ):
        check_weights("x.pth", weights)
