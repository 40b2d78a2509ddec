"""Settings in several places: two that disagree are named, equal ones pass."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, METRICS, MODELS
from PIL import Image

import mmseg_pointrend.models  # noqa: F401 - fills the registry
from mmseg_pointrend.datasets.agreement import (
    check_crop_size,
    check_ignored,
    ignored_in_data,
    ignored_in_metrics,
    ignored_in_model,
)
from mmseg_pointrend.datasets.draws import SeededDataset
from mmseg_pointrend.datasets.wrappers import datasets_and_transforms

ROOT = Path(__file__).parents[2]
PLACES = ("data", "crop", "head", "pad", "metric")


def places_of(ignored: dict[str, int], loss: dict | None = None, **data) -> dict[str, int]:
    """Build data set, model and metric, each with its own ignored label, and list the places."""
    init_default_scope("mmseg")
    crop = dict(type="RandomCrop", crop_size=(8, 8), cat_max_ratio=0.7)
    dataset = DATASETS.build(
        dict(
            type="BaseSegDataset",
            lazy_init=True,
            ignore_index=ignored["data"],
            pipeline=[dict(crop, ignore_index=ignored["crop"])],
            **data,
        )
    )
    config = Config.fromfile(
        ROOT / "configs/pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
    )
    model = config.model
    model.pretrained = None
    model.decode_head.ignore_index = ignored["head"]
    model.data_preprocessor.seg_pad_val = ignored["pad"]
    if loss is not None:
        model.decode_head.loss_point = loss
    metric = METRICS.build(dict(type="IoUMetric", ignore_index=ignored["metric"]))
    return {
        **ignored_in_data(dataset, dataset.pipeline.transforms, "train_dataloader.dataset"),
        **ignored_in_model(MODELS.build(model)),
        **ignored_in_metrics([metric], "val_evaluator"),
    }


@pytest.mark.parametrize("label", [11, 255])
def test_the_same_label_everywhere_passes(label: int) -> None:
    places = places_of(dict.fromkeys(PLACES, label))
    assert set(places.values()) == {label}
    assert set(places) >= {
        "train_dataloader.dataset.ignore_index",
        "train_dataloader.dataset.pipeline RandomCrop.ignore_index",
        "model.decode_head.ignore_index",
        "model.decode_head.coarse_head.ignore_index",
        "model.data_preprocessor.seg_pad_val",
        "val_evaluator IoUMetric.ignore_index",
    }
    check_ignored(places)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("data", "train_dataloader.dataset.ignore_index"),
        ("crop", "RandomCrop.ignore_index"),
        ("head", "model.decode_head.ignore_index"),
        ("pad", "model.data_preprocessor.seg_pad_val"),
        ("metric", "val_evaluator IoUMetric.ignore_index"),
    ],
)
def test_one_place_that_disagrees_is_named(place: str, name: str) -> None:
    places = places_of(dict.fromkeys(PLACES, 255) | {place: 11})
    with pytest.raises(ValueError, match=rf"{name}=11") as raised:
        check_ignored(places)
    assert "=255" in str(raised.value)


def test_a_loss_with_a_label_of_its_own() -> None:
    """The Tversky loss goes by its own label; the Dice loss is told the head's."""
    ignored = dict.fromkeys(PLACES, 11)
    with pytest.raises(ValueError, match=r"loss_point\.0\.ignore_index=255"):
        check_ignored(places_of(ignored, dict(type="TverskyLoss")))
    check_ignored(places_of(ignored, dict(type="TverskyLoss", ignore_index=11)))
    check_ignored(places_of(ignored, dict(type="DiceLoss", use_sigmoid=False)))


def test_labels_that_are_written_as_255_whatever_is_ignored() -> None:
    with pytest.raises(ValueError, match=r"reduce_zero_label=True, which ignores by=255"):
        check_ignored(places_of(dict.fromkeys(PLACES, 11), reduce_zero_label=True))


@pytest.mark.parametrize(
    ("steps", "size", "fits"),
    [
        (["RandomCrop"], (8, 16), True),
        (["RandomCrop"], None, True),
        (["RandomCrop"], (16, 8), False),
        (["RandomCrop", "RandomFlip"], (9, 16), False),
        (["RandomCrop", "Pad"], (9, 16), True),
        (["RandomFlip"], (9, 16), True),
    ],
)
def test_crop_size_and_padded_size(steps: list[str], size: tuple | None, fits: bool) -> None:
    transforms = [type(name, (), dict(crop_size=(8, 16)))() for name in steps]
    if fits:
        check_crop_size(transforms, size)
        return
    with pytest.raises(ValueError, match=r"crop_size=\(8, 16\), but .*size=\("):
        check_crop_size(transforms, size)


def test_transforms_of_a_wrapper_count(tmp_path: Path) -> None:
    """Mosaics are put together outside of the data set whose pictures they take."""
    init_default_scope("mmseg")
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        Image.new("L", (9, 9)).save(tmp_path / folder / "a.png")
    inner = dict(
        type="BaseSegDataset",
        data_root=str(tmp_path),
        img_suffix=".png",
        data_prefix=dict(img_path="images", seg_map_path="labels"),
        metainfo=dict(classes=("a", "b")),
        pipeline=[dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")],
    )
    mixed = dict(
        type="MultiImageMixDataset",
        dataset=dict(type="ConcatDataset", datasets=[inner, inner]),
        pipeline=[
            dict(type="RandomMosaic", prob=1.0, img_scale=(8, 8), seg_pad_val=7),
            dict(type="RandomCrop", crop_size=(4, 8)),
        ],
    )
    dataset = SeededDataset(dict(type="RepeatDataset", times=2, dataset=mixed))
    found = list(datasets_and_transforms(dataset))
    names = ["LoadImageFromFile", "LoadAnnotations", "RandomMosaic", "RandomCrop"]
    assert [[type(step).__name__ for step in steps] for _, steps in found] == [names] * 2
    places = ignored_in_data(*found[0], "data")
    with pytest.raises(ValueError, match=r"data.ignore_index=255, but data.* RandomMosaic.*=7"):
        check_ignored(places)
    with pytest.raises(ValueError, match=r"crop_size=\(4, 8\), but .*size=\(8, 8\)"):
        check_crop_size(found[0][1], (8, 8))
    check_crop_size(found[0][1], (4, 8))
