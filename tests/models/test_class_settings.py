"""The classes, stated once: what is filled in, and what contradicts."""

import pytest
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from mmseg_pointrend.models.class_settings import (
    complete_coarse_config,
    complete_point_config,
    resolve_classes,
)
from tests.models.builders import model_config


def test_what_is_not_given_is_filled_in() -> None:
    several = resolve_classes(4, None, None, 255)
    assert several == (4, 4, None, 255)
    assert resolve_classes(2, 1, None, 7) == (2, 1, 0.5, 7)
    assert resolve_classes(2, 1, 0.3, 255).threshold == 0.3
    given = dict(type="FCNHead")
    assert complete_coarse_config(given, several) == dict(
        type="FCNHead", num_classes=4, out_channels=4, threshold=None, ignore_index=255
    )
    assert complete_point_config(dict(in_channels=8), several) == dict(
        type="PointMLP", in_channels=8, out_channels=4
    )
    assert given == dict(type="FCNHead"), "a config that is shared stays as it is"


def test_one_logit_is_trained_through_a_sigmoid() -> None:
    binary = resolve_classes(2, 1, None, 255)
    sigmoid = dict(type="CrossEntropyLoss", use_sigmoid=True)
    assert complete_coarse_config({}, binary)["loss_decode"] == sigmoid
    own = dict(type="DiceLoss")
    assert complete_coarse_config(dict(loss_decode=own), binary)["loss_decode"] == own


# ---- auxiliary heads -----------------------------------------------------------------------------


def config_with(*auxiliary: dict) -> ConfigDict:
    head = dict(type="FCNHead", in_channels=8, in_index=2, channels=8, num_convs=1)
    heads = [head | changes for changes in auxiliary]
    config = model_config(num_classes=4)
    return ConfigDict(config, auxiliary_head=heads if len(heads) > 1 else heads[0])


@pytest.mark.parametrize(
    ("auxiliary", "message"),
    [
        ([dict(num_classes=19)], "auxiliary_head.num_classes=19, but decode_head.num_classes=4; "),
        ([dict(num_classes=4), dict(num_classes=3)], "set model.auxiliary_head.num_classes=4, too"),
        (
            [dict(num_classes=4, ignore_index=0)],
            "auxiliary_head.ignore_index=0, but decode_head.ignore_index=255",
        ),
    ],
)
def test_an_auxiliary_head_for_other_classes_is_refused(auxiliary: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODELS.build(config_with(*auxiliary))


def test_auxiliary_heads_for_the_same_classes_are_built() -> None:
    assert MODELS.build(config_with(dict(num_classes=4))).with_auxiliary_head
    assert len(MODELS.build(config_with(*[dict(num_classes=4)] * 2)).auxiliary_head) == 2
