"""A model of which the point head alone is trained: the rest stays as it is, to the bit."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from torch import nn

from tests.models.builders import fpn_head, model_config, samples_of

COARSE = fpn_head(dropout_ratio=0.5)


def build(**model: object) -> nn.Module:
    torch.manual_seed(0)
    config = model_config(coarse_head=COARSE, point_head=dict(in_channels=8, channels=8))
    return MODELS.build(ConfigDict(config | model))


def train_once(model: nn.Module) -> dict:
    optimizer = build_optim_wrapper(
        model, dict(optimizer=dict(type="AdamW", lr=0.1, weight_decay=0.1))
    )
    inputs, samples = torch.randint(256, (2, 3, 67, 93)), samples_of(torch.randint(4, (2, 67, 93)))
    batch = dict(inputs=list(inputs.byte()), data_samples=samples)
    model.train()
    return model.train_step(batch, optimizer)


def changed(model: nn.Module, before: dict) -> set[str]:
    """Name the parts, by the first parts of their names, of which any bit differs."""
    after = model.state_dict()
    return {
        ".".join(name.split(".")[: 2 if name.startswith("decode_head") else 1])
        for name, value in before.items()
        if not torch.equal(value, after[name])
    }


def test_the_point_head_alone_changes() -> None:
    model = build(freeze_base=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    logged = train_once(model)
    assert changed(model, before) == {"decode_head.point_head"}
    assert set(logged) == {"loss", "decode.point.loss_ce", "decode.point.acc"}
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {name.split(".")[1] for name in learning} == {"point_head"}


def test_dropout_of_the_coarse_head_does_nothing() -> None:
    model = build(freeze_base=True).train()
    images = torch.randn(1, 3, 64, 64)
    maps = model.extract_feat(images)
    first, second = (model.decode_head.coarse_prediction(maps) for _ in range(2))
    assert torch.equal(first, second)
    assert model.decode_head.point_head.training


def test_without_it_everything_changes() -> None:
    model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert "decode.coarse.loss_ce" in train_once(model)
    assert changed(model, before) == {
        "backbone", "neck", "decode_head.coarse_head", "decode_head.point_head",
    }  # fmt: skip


def test_an_auxiliary_head_has_nothing_to_train() -> None:
    head = dict(type="FCNHead", in_channels=32, in_index=2, channels=8, num_classes=4)
    with pytest.raises(ValueError, match="set model.auxiliary_head=None"):
        build(freeze_base=True, auxiliary_head=head)
