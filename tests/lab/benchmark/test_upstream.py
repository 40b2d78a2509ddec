"""Our configs and weights as mmsegmentation's."""

from pathlib import Path

import mmseg
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmseg.registry import MODELS

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.lab.benchmark.upstream import (
    COARSE_PREFIXES,
    coarse_model_config,
    rename_weights,
    upstream_config,
    upstream_prefixes,
)
from tests.models.builders import model_config
from tests.repository.test_configs import ROOT

CITYSCAPES = ROOT / "pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"
MMSEG = Path(mmseg.__file__).parent / ".mim/configs"
TWO_CLASSES = ROOT / "pointrend/pointrend_r50_my-dataset-512x1024.py"


def never() -> int:
    raise AssertionError("the config gives a number")


def test_the_config_is_mmsegmentations_own() -> None:
    """Against the PointRend config that mmsegmentation ships."""
    ours = upstream_config(prepare_config(CITYSCAPES).model, never)
    theirs = Config.fromfile(
        MMSEG / "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"
    ).model
    assert ours.type == theirs.type == "CascadeEncoderDecoder"
    assert ours.num_stages == theirs.num_stages == 2
    assert ours.train_cfg == theirs.train_cfg
    # It renders 8196 points; the paper's rule gives 8192.
    assert ours.test_cfg == theirs.test_cfg | dict(subdivision_num_points=8192)
    for mine, other in zip(ours.decode_head, theirs.decode_head, strict=True):
        for key in ("type", "in_channels", "in_index", "channels", "num_classes"):
            assert mine[key] == other[key]
    assert ours.decode_head[1]["num_fcs"] == theirs.decode_head[1].num_fcs
    assert ours.backbone.depth == theirs.backbone.depth


def test_windows_slide_in_both() -> None:
    model = prepare_config(CITYSCAPES).model
    model.test_cfg = dict(mode="slide", crop_size=(512, 512), stride=(384, 384))
    theirs = upstream_config(model, never).test_cfg
    assert model.test_cfg.items() <= theirs.items()
    assert theirs.subdivision_num_points == 8192


def test_a_budget_that_is_no_number_is_asked_for() -> None:
    model = prepare_config(CITYSCAPES).model
    model.decode_head.subdivision.num_points = "stride-16"
    assert upstream_config(model, lambda: 77).test_cfg.subdivision_num_points == 77
    assert model.decode_head.type == "PointRendHead"


def test_strategies_are_written_as_k_and_beta() -> None:
    model = prepare_config(CITYSCAPES).model
    model.decode_head.training_points.strategy = "heavily-biased"
    assert upstream_config(model, never).train_cfg == dict(
        num_points=2048, oversample_ratio=10, importance_sample_ratio=1
    )


def test_the_coarse_config_is_the_baselines() -> None:
    ours = coarse_model_config(prepare_config(CITYSCAPES).model)
    name = CITYSCAPES.name.replace("pointrend", "fpn")
    baseline = prepare_config(ROOT / "sem_fpn" / name).model
    assert ours.type == baseline.type == "EncoderDecoder"
    defaults = dict(
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
    )
    assert ConfigDict(ours.decode_head) | defaults == baseline.decode_head


def test_weights_get_their_new_names() -> None:
    model = MODELS.build(model_config())
    state = {
        key: torch.zeros(())
        for key in ("neck.x", "decode_head.coarse_head.y", "decode_head.point_head.fcs.0.z")
    }
    assert list(rename_weights(state, upstream_prefixes(model))) == [
        "neck.x", "decode_head.0.y", "decode_head.1.fcs.0.z"
    ]  # fmt: skip
    assert list(rename_weights(state, COARSE_PREFIXES)) == ["neck.x", "decode_head.y"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(uncertainty="probability"), "decode_head.uncertainty='probability', only 'logit'"),
        (
            dict(subdivision=dict(steps=2, num_points=10, max_margin=1.0)),
            "decode_head.subdivision.max_margin=1.0, only inf",
        ),
        (dict(coarse_at_fine=True), "decode_head.coarse_at_fine=True, only False"),
        (dict(picture=dict(kernel_size=3)), "decode_head.picture={'kernel_size': 3}, only None"),
        (
            dict(training_points=dict(num_points=9, strategy="regular-grid")),
            "decode_head.training_points.strategy='regular-grid', only k and beta",
        ),
        (dict(point_head=dict(type="MyHead")), "decode_head.point_head.type='MyHead'"),
    ],
)
def test_what_mmsegmentation_does_not_have_is_refused(change: dict, message: str) -> None:
    model = prepare_config(CITYSCAPES).model
    model.decode_head.update(change)
    with pytest.raises(ValueError, match=message):
        upstream_config(model, never)


def test_one_logit_for_two_classes_is_refused() -> None:
    model = prepare_config(TWO_CLASSES).model
    with pytest.raises(ValueError, match="no out_channels=1"):
        upstream_config(model, never)
    coarse = coarse_model_config(model)
    assert coarse.decode_head["threshold"] == 0.5


@pytest.mark.parametrize("convert", [lambda m: upstream_config(m, never), coarse_model_config])
def test_a_model_without_pointrend_is_refused(convert) -> None:
    model = prepare_config(ROOT / "sem_fpn" / "fpn_r50_4xb4-160k_ade20k-512x512.py").model
    with pytest.raises(ValueError, match="this config has none: model.decode_head.type='FPNHead'"):
        convert(model)
