"""Which test-time augmentation a config gets, and which metrics."""

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmseg_pointrend.apis.configs import load_config, shipped_config
from mmseg_pointrend.apis.tasks.semantic import _augment, _compare_with_coarse, _write_predictions
from mmseg_pointrend.evaluation import RefinementMetric

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


def compared(path: str = POINTREND, tta: bool = False, **changes: object) -> Config:
    init_default_scope("mmseg")
    # Set apart: options would be merged into the list that is there.
    evaluator = {key: changes.pop(key) for key in list(changes) if key == "test_evaluator"}
    config = load_config(shipped_config(path), changes)
    for key, value in evaluator.items():
        config[key] = value
    if tta:
        _augment(config)
    _compare_with_coarse(config)
    return config


def metric_types(config: Config) -> list[str]:
    found = config.test_evaluator
    return [metric["type"] for metric in (found if isinstance(found, list | tuple) else [found])]


IOU = dict(type="IoUMetric", iou_metrics=["mIoU"])


@pytest.mark.parametrize("tta", [False, True])
def test_pointrend_is_compared_with_its_coarse_prediction(tta: bool) -> None:
    config = compared(tta=tta)
    model = config.model.module if tta else config.model
    assert model.predict_coarse
    assert metric_types(config) == ["IoUMetric", "TrimapIoUMetric", "RefinementMetric"]
    assert config.test_evaluator[-1].ignore_index == 255


def test_one_metric_instead_of_a_list_and_another_void_label() -> None:
    config = compared(test_evaluator=dict(IOU, ignore_index=0))
    assert metric_types(config) == ["IoUMetric", "RefinementMetric"]
    assert config.test_evaluator[-1].ignore_index == 0


@pytest.mark.parametrize("kind", ["RefinementMetric", "mmseg.RefinementMetric", RefinementMetric])
def test_ones_own_refinement_metric_is_the_only_one(kind: str | type) -> None:
    config = compared(test_evaluator=[IOU, dict(type=kind, widths=(1,))])
    assert metric_types(config) == ["IoUMetric", kind]
    assert config.test_evaluator[-1].widths == (1,) and config.model.predict_coarse


def test_a_metric_that_only_writes_is_left_out() -> None:
    """The hook writes what `--out` asks for; a metric with a folder of its own goes on."""
    only, own = dict(IOU, format_only=True), dict(IOU, format_only=True, output_dir="own")
    config = Config(dict(custom_hooks=[], test_evaluator=[IOU, only, own]))
    _write_predictions(config, "labels", None)
    assert config.test_evaluator == [IOU, own]
    assert config.custom_hooks == [dict(type="PredictionsHook", out="labels", show_dir=None)]
    config = Config(dict(custom_hooks=[], test_evaluator=only))
    _write_predictions(config, None, "pictures")
    assert config.test_evaluator == only


def test_predictions_finer_than_the_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="output_scale must be 1 to measure predictions.* got 2"):
        compared(**{"model.output_scale": 2})
    assert compared(**{"model.output_scale": 2, "model.predict_coarse": False})


@pytest.mark.parametrize(
    "changes",
    [
        dict(path=BASELINE),
        {"path": BASELINE, "tta": True},
        {"model.predict_coarse": False},
        {"tta": True, "tta_model.type": "SegTTAModel", "model.type": "MultimodalEncoderDecoder"},
        {"test_evaluator": [dict(IOU, format_only=True, output_dir="labels")]},
        {"test_evaluator": dict(type="Evaluator", metrics=[IOU])},
        {"test_evaluator": None},
    ],
    ids=["baseline", "baseline-tta", "switched-off", "other-tta", "no-labels", "own", "none"],
)
def test_no_comparison(changes: dict) -> None:
    config = compared(**changes)
    assert "RefinementMetric" not in str(config.test_evaluator)
    assert not config.model.get("predict_coarse")
