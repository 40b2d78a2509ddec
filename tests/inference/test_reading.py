"""An image file is read as in testing, and has the same labels as there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile, Resize
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.apis import inference_model
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs
from mmseg.registry import DATASETS
from PIL import Image
from torch import nn

from mmseg_pointrend.apis.configs import prepare_config, shipped_config
from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.apis.tasks.semantic import _augment
from mmseg_pointrend.inference.predictor import predict_whole
from mmseg_pointrend.inference.reading import apply_test_pipeline, load_image, test_pipeline

pytestmark = pytest.mark.usefixtures("random_weights")

POINTREND = shipped_config("pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py")
PLAIN = [dict(type="LoadImageFromFile"), dict(type="PackSegInputs")]
CLASSES = [
    dict(type=LoadImageFromFile, color_type="unchanged"),
    dict(type=Resize, scale=(64, 48), keep_ratio=True),
    dict(type=LoadAnnotations),
    dict(type=PackSegInputs),
]
DEEP = dict(type="LoadImageFromFile", color_type="unchanged", to_float32=True)
RESIZED = [PLAIN[0], dict(type="Resize", scale=(96, 64), keep_ratio=True), PLAIN[1]]
SLIDE = dict(mode="slide", crop_size=(32, 48), stride=(20, 30))
NOISE = np.random.default_rng(0).integers(0, 256, (37, 51, 3)).astype(np.uint8)


def write_image(folder: Path, kind: str) -> Path:
    """Write deep (12 of 16 bits, grey), grey, or turned colour pixels."""
    path = folder / f"image.{'jpg' if kind == 'turned' else 'png'}"
    if kind == "deep":
        Image.fromarray(NOISE[..., 0].astype(np.uint16) * 16).save(path)
    elif kind == "grey":
        Image.fromarray(NOISE[..., 0]).save(path)
    else:
        exif = Image.Exif()
        exif[0x0112] = 6 if kind == "turned" else 1
        Image.fromarray(NOISE).save(path, exif=exif)
    return path


def prepare(channels: int) -> Config:
    """Prepare a config for images of so many channels; one: of 12 bits."""
    scale = 16.0 if channels == 1 else 1.0
    options = {
        "model.backbone.in_channels": channels,
        "model.data_preprocessor.mean": [120 * scale] * channels,
        "model.data_preprocessor.std": [60 * scale] * channels,
        "model.data_preprocessor.bgr_to_rgb": channels == 3,
    }
    return prepare_config(POINTREND, options=options)


CASES = {
    "plain": (3, "colour", PLAIN, {}),
    "pillow": (3, "colour", [dict(PLAIN[0], imdecode_backend="pillow"), PLAIN[1]], {}),
    "not turned": (
        3,
        "turned",
        [dict(PLAIN[0], color_type="color_ignore_orientation"), PLAIN[1]],
        {},
    ),
    "turned": (3, "turned", PLAIN, {}),
    "deep": (1, "deep", [DEEP, PLAIN[1]], {}),
    "grey": (1, "grey", [dict(PLAIN[0], color_type="grayscale"), PLAIN[1]], {}),
    "classes": (3, "colour", CLASSES, {}),
    "slide, resized": (3, "colour", RESIZED, SLIDE),
    "slide, deep": (1, "deep", [DEEP, PLAIN[1]], SLIDE),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, nn.Module]:
    built = {}
    for channels in (1, 3):
        checkpoint = tmp_path_factory.mktemp("weights") / "weights.pth"
        torch.save(dict(state_dict={}, meta={}), checkpoint)
        torch.manual_seed(0)
        model = load_model(prepare(channels), checkpoint, "cpu")
        for parameter in model.decode_head.parameters():
            nn.init.normal_(parameter, std=0.3)
        built[channels] = model
    return built


@torch.no_grad()
@pytest.mark.parametrize("wrapped", [False, True], ids=["", "wrapped"])
@pytest.mark.parametrize("case", CASES)
def test_the_labels_are_those_of_the_test_data(
    case: str, wrapped: bool, models: dict, tmp_path: Path
) -> None:
    channels, kind, pipeline, test_cfg = CASES[case]
    model = models[channels]
    path = write_image(tmp_path, kind)
    unlabelled = [step for step in pipeline if step["type"] is not LoadAnnotations]
    leaf = dict(type="BaseSegDataset", data_root="", data_prefix=dict(img_path=str(tmp_path)))
    leaf |= dict(img_suffix=path.suffix, pipeline=pipeline, metainfo=dict(classes=["a"] * 8))
    data = dict(type="ConcatDataset", datasets=[leaf, leaf]) if wrapped else leaf
    here = Config(dict(test_dataloader=dict(dataset=data), test_pipeline=unlabelled))
    model.test_cfg = Config(test_cfg or dict(mode="whole"))
    model.cfg = here

    (expected,) = model.test_step(
        pseudo_collate([DATASETS.build(dict(leaf, pipeline=unlabelled, test_mode=True))[0]])
    )
    expected = expected.pred_sem_seg.data[0].numpy()
    labels = predict_whole(model, test_pipeline(here), path).labels
    assert len(np.unique(labels)) > 1
    assert np.array_equal(labels, expected)
    if case != "classes":  # mmsegmentation's does not know them
        other = inference_model(model, str(path)).pred_sem_seg.data[0].numpy()
        assert np.array_equal(labels, other)


def test_what_is_loaded_is_what_the_file_holds(tmp_path: Path) -> None:
    deep = load_image([DEEP], write_image(tmp_path, "deep"))["img"]
    assert deep.dtype == np.float32 and np.array_equal(deep, NOISE[..., 0] * 16.0)
    turned = write_image(tmp_path, "turned")
    assert load_image(PLAIN, turned)["img"].shape == (51, 37, 3)
    loader = dict(PLAIN[0], color_type="color_ignore_orientation")
    item = apply_test_pipeline([loader, PLAIN[1]], turned)
    assert item["inputs"].shape == (3, 37, 51)


def test_pipelines_that_do_not_say_how(tmp_path: Path) -> None:
    for dataset in ({}, dict(pipeline=[])):
        with pytest.raises(ValueError, match=r"no test_dataloader.dataset.pipeline"):
            test_pipeline(Config(dict(test_dataloader=dict(dataset=dataset))))
    leaves = [dict(pipeline=PLAIN), dict(pipeline=RESIZED)]
    with pytest.raises(ValueError, match="the 2 data sets .* have different pipelines"):
        test_pipeline(Config(dict(test_dataloader=dict(dataset=dict(datasets=leaves)))))
    with pytest.raises(ValueError, match="must begin with LoadImageFromFile .* got Resize"):
        load_image(RESIZED[1:], write_image(tmp_path, "colour"))


def test_augmentation_loads_as_the_test_pipeline_does() -> None:
    """In wrapped data too; a loader of its own stays."""
    config = prepare_config(POINTREND)
    leaf = dict(config.test_dataloader.dataset, pipeline=[DEEP, PLAIN[1]])
    config.test_dataloader.dataset = dict(type="ConcatDataset", datasets=[leaf, leaf])
    views = config.tta_pipeline[1:]
    _augment(config)
    for inner in config.test_dataloader.dataset.datasets:
        assert inner.pipeline == [DEEP, *views]
    assert "pipeline" not in config.test_dataloader.dataset
    config = prepare_config(POINTREND)
    config.tta_pipeline[0].type = "LoadSingleRSImageFromFile"
    _augment(config)
    first = config.test_dataloader.dataset.pipeline[0]
    assert first.type == "LoadSingleRSImageFromFile"
