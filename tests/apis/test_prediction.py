"""Predicting image files: at once as in testing, and in windows as mmsegmentation slides them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import Compose, pseudo_collate
from PIL import Image

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.apis.prediction import load_model, predict
from mmseg_pointrend.inference.predictor import Windows, predict_sliding, predict_whole
from mmseg_pointrend.inference.reading import load_image, test_pipeline
from tests.apis.random_weights import save_weights
from tests.memory import peak_bytes

POINTREND = shipped_config("pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py")
BASELINE = shipped_config("sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py")
BINARY = {
    "model.decode_head.num_classes": 2,
    "model.decode_head.out_channels": 1,
    "model.decode_head.threshold": 0.5,
}
BINARY_LOSS = dict(type="CrossEntropyLoss", use_sigmoid=True)
MODELS = pytest.mark.parametrize(
    ("path", "options"),
    [
        (POINTREND, {}),
        (POINTREND, BINARY),
        (POINTREND, {"model.data_preprocessor.test_cfg": dict(size_divisor=32)}),
        (BASELINE, {}),
        (BASELINE, BINARY | {"model.decode_head.loss_decode": BINARY_LOSS}),
    ],
    ids=["pointrend", "one channel", "padded", "baseline", "baseline, one channel"],
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (29, 42, 3)).astype(np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(noise).resize((417, 301)).save(path)
    return path


@torch.no_grad()
@MODELS
def test_windows_give_the_labels_of_slide_inference(
    path: Path, options: dict, image: Path, tmp_path: Path
) -> None:
    config, checkpoint = save_weights(path, options, tmp_path)
    window, stride = (128, 160), (96, 101)  # multiples of 32: as large as their padded selves
    model = load_model(config, checkpoint, "cpu")
    pixels = load_image(test_pipeline(config), image)["img"]
    model.test_cfg = ConfigDict(mode="slide", crop_size=window, stride=stride)
    normalised = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1).float()
    preprocessor = model.data_preprocessor
    normalised = (normalised - preprocessor.mean) / preprocessor.std
    logits = model.slide_inference(normalised[None], [{}])
    if model.out_channels == 1:
        model.decode_head.threshold = logits.sigmoid().median().item()
        expected = logits[0, 0].sigmoid() > model.decode_head.threshold
    else:
        expected = logits[0].argmax(0)
    labels = predict_sliding(model, pixels, Windows(window, stride)).labels
    assert labels.dtype == np.uint8 and len(np.unique(labels)) > 1
    assert np.array_equal(labels, expected.numpy())


@torch.no_grad()
def test_windows_larger_than_the_image_are_the_image(image: Path, tmp_path: Path) -> None:
    config, checkpoint = save_weights(POINTREND, {}, tmp_path)
    model = load_model(config, checkpoint, "cpu")
    pixels = load_image(test_pipeline(config), image)["img"]
    whole = predict_whole(model, test_pipeline(config), image).labels
    assert len(np.unique(whole)) > 1
    windows = Windows((999, 999), (500, 500))
    assert np.array_equal(predict_sliding(model, pixels, windows).labels, whole)


@torch.no_grad()
def test_the_whole_image_goes_through_the_test_pipeline(image: Path, tmp_path: Path) -> None:
    """Resized as the config says, the labels back at the image's own size."""
    options = {
        "test_dataloader.dataset.pipeline": [
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(256, 128), keep_ratio=True),
            dict(type="LoadAnnotations"),
            dict(type="PackSegInputs"),
        ]
    }
    config, checkpoint = save_weights(POINTREND, options, tmp_path)
    found = predict(POINTREND, checkpoint, image, tmp_path / "out.png", options=options)
    load, resize, _, pack = config.test_dataloader.dataset.pipeline
    model = load_model(config, checkpoint, "cpu")
    item = Compose([load, resize, pack])(dict(img_path=str(image)))
    assert item["inputs"].shape == (3, 128, 177)
    expected = model.test_step(pseudo_collate([item]))[0].pred_sem_seg.data[0].numpy()
    assert len(np.unique(found)) > 1
    assert found.shape == (301, 417) and np.array_equal(found, expected)


def test_memory_of_tensors_does_not_grow_with_the_image(tmp_path: Path) -> None:
    """Twelve times the rows: the tensors are a window's and a band's, as before."""
    config, checkpoint = save_weights(POINTREND, {}, tmp_path)
    model = load_model(config, checkpoint, "cpu")
    low, high = (
        peak_bytes(lambda image=image: predict_sliding(model, image, Windows((64, 64), (48, 48))))
        for image in (np.zeros((64, 300, 3), np.uint8), np.zeros((768, 300, 3), np.uint8))
    )
    assert high < 1.05 * low


def test_the_file_written(image: Path, tmp_path: Path) -> None:
    """By sliding windows if asked, or if test_cfg says so; its stride is two thirds of a window."""
    _, checkpoint = save_weights(POINTREND, {}, tmp_path)
    sliding = {"model.test_cfg": dict(mode="slide", crop_size=(96, 160), stride=(64, 106))}
    arguments = (
        dict(window=(96, 160)),
        dict(options=sliding),
        dict(window=(96, 160), stride=[96, 160]),
    )
    asked, told, other = (
        predict(POINTREND, checkpoint, image, tmp_path / f"{i}.png", **given)
        for i, given in enumerate(arguments)
    )
    written = Image.open(tmp_path / "0.png")
    assert written.mode == "P" and np.array_equal(np.array(written), asked)
    predict(POINTREND, checkpoint, image, tmp_path / "grey.png", colored=False)
    assert Image.open(tmp_path / "grey.png").mode == "L"
    assert len(np.unique(asked)) > 1
    assert np.array_equal(asked, told)
    assert not np.array_equal(asked, other)


def test_more_than_256_classes_take_16_bits(image: Path, tmp_path: Path) -> None:
    options = {"model.decode_head.num_classes": 700}
    _, checkpoint = save_weights(POINTREND, options, tmp_path)
    for window in (None, (200, 200)):
        out = tmp_path / "out.png"
        labels = predict(POINTREND, checkpoint, image, out, window=window, options=options)
        assert labels.dtype == np.uint16 and labels.max() > 255
        assert np.array_equal(np.array(Image.open(out)), labels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(stride=(9, 9)), "stride is that of sliding windows: give a window too"),
        (dict(window=(9, 9), stride=(10, 9)), "stride must not exceed the window, \\(9, 9\\)"),
        (dict(window=(0, 9)), "window must be two integers >= 1, got \\(0, 9\\)"),
        (dict(device="gpu"), "device must be cpu, cuda or cuda:<number>, got 'gpu'"),
        (dict(device="cuda:99"), "device cuda:99: torch sees \\d+ GPUs"),
        (dict(out="labels.jpg"), "out must end in .png, got labels.jpg"),
        (dict(checkpoint="nowhere.pth"), "checkpoint nowhere.pth does not exist"),
        (dict(image="nowhere.png"), "image nowhere.png does not exist"),
        (
            dict(options={"test_dataloader.dataset.pipeline": [dict(type="PackSegInputs")]}),
            "the test pipeline must begin with LoadImageFromFile .*, got PackSegInputs",
        ),
    ],
)
def test_mistakes(changes: dict, message: str, image: Path, tmp_path: Path) -> None:
    _, checkpoint = save_weights(POINTREND, {}, tmp_path)
    arguments = dict(checkpoint=checkpoint, image=image, out=tmp_path / "out.png")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        predict(POINTREND, **(arguments | changes))
    assert not (tmp_path / "out.png").exists()
