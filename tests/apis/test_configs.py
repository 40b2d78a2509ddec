"""What a config's model is, and what a config is made to be on this machine."""

import pytest
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from torch import nn

from mmseg_pointrend.apis.configs import is_pointrend, prepare_config, shipped_config
from mmseg_pointrend.lab.benchmark.upstream import upstream_config
from mmseg_pointrend.models import PointRendHead
from tests.models.builders import model_config

SHIPPED = {
    "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py": True,
    "sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py": False,
}


class Derived(PointRendHead):
    """A head of a user's own."""


@pytest.mark.parametrize("name", SHIPPED)
def test_a_config_and_its_model_answer_alike(name: str) -> None:
    config = prepare_config(shipped_config(name)).model
    assert is_pointrend(config) is is_pointrend(MODELS.build(config)) is SHIPPED[name]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (dict(decode_head=dict(type=PointRendHead)), True),
        (dict(decode_head=dict(type=Derived)), True),
        (dict(decode_head=dict(type="mmseg.PointRendHead")), True),
        (dict(decode_head=dict(type="FPNHead")), False),
        (dict(decode_head=[dict(type="FPNHead"), dict(type="PointHead")]), False),
        (dict(decode_head=dict(type="NoSuchHead")), False),
        (dict(decode_head=dict(type="mmdet.BBoxHead")), False),
        (dict(decode_head=None), False),
    ],
    ids=lambda value: str(value)[:60],
)
def test_other_configs(config: dict, expected: bool) -> None:
    assert is_pointrend(ConfigDict(config)) is expected


def test_a_wrapper_has_no_decode_head_of_its_own() -> None:
    config = ConfigDict(type="PointRendTTA", module=model_config())
    assert not is_pointrend(config) and not is_pointrend(MODELS.build(config))
    assert is_pointrend(config.module) and is_pointrend(MODELS.build(config).module)


def test_a_model_without_a_decode_head_is_none() -> None:
    assert not is_pointrend(nn.Linear(1, 1))


def test_mmsegmentations_own_pointrend_is_none() -> None:
    theirs = upstream_config(ConfigDict(model_config()), lambda: 64)
    assert not is_pointrend(theirs) and not is_pointrend(MODELS.build(theirs))


def test_without_workers_none_persist() -> None:
    """Upstream's data configs ask for workers that persist, which torch refuses without workers."""
    name = shipped_config("pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py")
    options = {"train_dataloader.num_workers": 0}
    config = prepare_config(name, options=options)
    assert not config.train_dataloader.persistent_workers
    assert config.val_dataloader.persistent_workers
