"""Which test-time augmentation a config gets."""

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmseg_pointrend.apis.configs import load_config, shipped_config
from mmseg_pointrend.apis.testing import _augment

POINTREND = "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
BASELINE = "sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py"


def augmented(path: str, **changes: object) -> Config:
    init_default_scope("mmseg")
    config = load_config(shipped_config(path), changes)
    _augment(config)
    return config


@pytest.mark.parametrize("path", [POINTREND, BASELINE])
def test_running_sums_for_every_encoder_decoder(path: str) -> None:
    """By the shipped configs, and where a config still has what mmsegmentation's files say."""
    for changes in ({}, {"tta_model.type": "SegTTAModel"}):
        config = augmented(path, **changes)
        assert config.model.type == "PointRendTTA"
        assert config.model.module.type in ("PointRend", "EncoderDecoder")
        assert config.test_dataloader.dataset.pipeline == config.tta_pipeline


def test_other_models_keep_what_their_config_says() -> None:
    other = {"model.type": "MultimodalEncoderDecoder", "tta_model.type": "SegTTAModel"}
    assert augmented(BASELINE, **other).model.type == "SegTTAModel"
    own = {"tta_model.type": "MyTTAModel", "tta_model.colour": "red"}
    config = augmented(POINTREND, **own)
    assert config.model.type == "MyTTAModel" and config.model.colour == "red"
