"""The config of a retrofit: which maps are read, what the base hands on, what is refused."""

import pytest
from mmengine.config import Config

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.apis.retrofit.base_maps import BaseMaps, FeatureMap, find_base_maps
from mmseg_pointrend.apis.retrofit.config import PointSettings, check_base, retrofit_config
from mmseg_pointrend.lab.benchmark.models import build_quietly

BASES = dict(
    fpn="sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py",
    deeplab="deeplabv3/deeplabv3_r18-small-d16_1xb4-1k_demo-scenes-128x256.py",
)
MAPS = BaseMaps([FeatureMap(0, 8, 32), FeatureMap(1, 4, 48), FeatureMap(2, 4, 64)], 8)


def base(name: str = "fpn", **head: object) -> Config:
    config = Config.fromfile(shipped_config(BASES[name]))
    config.model.decode_head.update(head)
    return config


@pytest.mark.parametrize(
    ("name", "strides", "channels", "coarse"),
    [("fpn", [4, 8, 16, 32], [64] * 4, 8), ("deeplab", [4, 8, 16, 16], [32, 64, 128, 256], 16)],
)
def test_maps_are_found_by_running_the_model(name, strides, channels, coarse) -> None:
    maps = find_base_maps(build_quietly(base(name).model))
    assert maps.features == [
        FeatureMap(index, *found) for index, found in enumerate(zip(strides, channels, strict=True))
    ]
    assert maps.coarse_stride == coarse


def test_fine_maps_are_chosen_by_stride() -> None:
    assert MAPS.finest() == [MAPS.features[1]]
    assert MAPS.with_strides([8, 4]) == MAPS.features[:2]
    with pytest.raises(ValueError, match=r"no feature map has stride 2; there are \[4, 8\]"):
        MAPS.with_strides([2])


def test_the_point_head_is_around_the_bases_head() -> None:
    found = base()
    before = found.to_dict()
    config = retrofit_config(found, MAPS, PointSettings(iterations=40, fine_strides=[4, 8]))
    model, coarse = config.model, found.model.decode_head
    head = model.decode_head
    assert (model.type, model.freeze_base, model.auxiliary_head) == ("PointRend", True, None)
    assert dict(head.coarse_head) == {k: v for k, v in coarse.items() if k != "num_classes"}
    assert head.point_head == dict(in_channels=[48, 32], in_index=[1, 0], channels=128, num_fcs=3)
    assert head.subdivision == dict(steps=3, num_points=1 / 16, scale_factor=2)
    assert (head.num_classes, "loss_point" in head) == (9, False)
    assert head.picture == dict(kernel_size=3, in_channels=3)
    assert "picture" not in retrofit_config(found, MAPS, PointSettings(picture=0)).model.decode_head
    assert config.train_dataloader.dataset == found.train_dataloader.dataset
    assert config.train_cfg.max_iters == config.param_scheduler[1]["end"] == 40
    assert found.to_dict() == before


def test_class_weights_and_ignored_labels_are_the_bases() -> None:
    weights = [0.5] * 9
    losses = [dict(type="DiceLoss"), dict(type="CrossEntropyLoss", class_weight=weights)]
    config = retrofit_config(base(ignore_index=11, loss_decode=losses), MAPS, PointSettings())
    head = config.model.decode_head
    assert head.ignore_index == 11
    assert head.loss_point == dict(type="CrossEntropyLoss", use_sigmoid=False, class_weight=weights)
    assert not {"loss_decode", "ignore_index"} & head.coarse_head.keys()
    built = build_quietly(config.model).decode_head
    assert (built.coarse_head.ignore_index, built.ignore_index) == (11, 11)


def test_one_logit_stays_one() -> None:
    loss = dict(type="CrossEntropyLoss", use_sigmoid=True, class_weight=[3.0])
    found = base(num_classes=2, out_channels=1, threshold=0.4, loss_decode=loss)
    config = retrofit_config(found, find_base_maps(build_quietly(found.model)), PointSettings())
    built = build_quietly(config.model).decode_head
    assert (built.out_channels, built.threshold) == (1, 0.4)
    assert (built.loss_point[0].use_sigmoid, built.loss_point[0].class_weight) == (True, [3.0])


def test_bands_are_measured_with_the_bases_void() -> None:
    found = base()
    found.test_evaluator = dict(type="IoUMetric", ignore_index=7)
    config = retrofit_config(found, MAPS, PointSettings())
    assert config.test_evaluator == [
        dict(type="IoUMetric", ignore_index=7),
        dict(type="TrimapIoUMetric", widths=(2, 4, 8), ignore_index=7),
    ]
    found.test_evaluator = None
    with pytest.raises(ValueError, match="no test_evaluator"):
        retrofit_config(found, MAPS, PointSettings())


def test_what_cannot_be_retrofitted_is_refused() -> None:
    pointrend = shipped_config("pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py")
    with pytest.raises(ValueError, match="it has a point head already"):
        check_base(Config.fromfile(pointrend))
    other = base()
    other.model.type = "CascadeEncoderDecoder"
    with pytest.raises(ValueError, match="must be EncoderDecoder, got CascadeEncoderDecoder"):
        check_base(other)
    check_base(base())


def test_a_model_as_fine_as_its_input_has_nothing_to_render() -> None:
    model = build_quietly(base().model)
    head = model.decode_head
    head.forward = lambda maps: type(maps[0]).new_zeros(maps[0], 1, 9, 256, 256)
    with pytest.raises(ValueError, match="FPNHead predicts every pixel of its input"):
        find_base_maps(model)
    head.forward = lambda maps: None
    with pytest.raises(ValueError, match=r"FPNHead gives no map of logits \(N, K, h, w\)"):
        find_base_maps(model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(iterations=0), "iterations must be >= 1, got 0"),
        (dict(channels=0), "channels must be >= 1, got 0"),
        (dict(learning_rate=0), "learning_rate must be > 0, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PointSettings(**settings)
