"""Weights to start from: found wherever a config names them, left out where they are replaced."""

import pytest
from mmengine.config import Config

from mmseg_pointrend.apis.configs import load_config, shipped_config
from mmseg_pointrend.engine.pretrained import advise_files, leave_out_pretrained, list_pretrained
from tests.repository.test_configs import NAMES


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        (dict(pretrained="open-mmlab://resnet50_v1c", backbone=dict(type="A")), ["pretrained"]),
        (
            dict(backbone=dict(init_cfg=dict(type="Pretrained", checkpoint="x"))),
            ["backbone.init_cfg"],
        ),
        (dict(pretrained=None, backbone=dict(init_cfg=dict(type="Kaiming"))), []),
        (
            dict(parts=[dict(a=1), dict(init_cfg=[dict(type="Pretrained", checkpoint="x")])]),
            ["parts.1.init_cfg"],
        ),
        (dict(backbone=dict(pretrained="x.pth")), ["backbone.pretrained"]),
    ],
)
def test_weights_are_found_and_left_out(model: dict, keys: list[str]) -> None:
    config = Config(dict(model=model))
    assert list_pretrained(config.model) == [f"model.{key}" for key in keys]
    leave_out_pretrained(config)
    assert list_pretrained(config.model) == []


@pytest.mark.parametrize("name", NAMES)
def test_shipped_configs(name: str) -> None:
    config = load_config(shipped_config(name))
    leave_out_pretrained(config)
    assert "Pretrained" not in config.model.to_dict().__repr__()
    assert "://" not in config.model.to_dict().__repr__()


def test_the_advice_names_what_helps() -> None:
    model = dict(backbone=dict(init_cfg=dict(type="Pretrained", checkpoint="x")))
    advice = advise_files(model)
    assert "--cfg-options model.backbone.init_cfg.checkpoint=FILE" in advice
    assert advice.endswith("random weights with model.backbone.init_cfg=None")
