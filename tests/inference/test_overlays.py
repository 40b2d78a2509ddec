"""Colours over a picture."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_pointrend.apis.configs import prepare_config, shipped_config
from mmseg_pointrend.inference.overlays import as_color, paint
from mmseg_pointrend.inference.palettes import palette_of
from mmseg_pointrend.inference.predictor import predict_batch
from mmseg_pointrend.inference.written import write_overlay

DEMO = shipped_config("pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py")
PALETTE = [[200, 10, 30], [0, 255, 7]]
PIXELS = np.random.default_rng(0).integers(0, 256, (31, 47, 3)).astype(np.uint8)
LABELS = np.random.default_rng(1).integers(0, 2, (31, 47)).astype(np.uint8)


def test_half_picture_and_half_colour() -> None:
    """Blue first, as pictures are loaded; to a rounding."""
    expected = (PIXELS.astype(float) + np.array(PALETTE)[LABELS][..., ::-1]) / 2
    assert np.abs(paint(PIXELS, LABELS, PALETTE) - expected).max() <= 0.5


def test_what_has_no_colour_is_not_painted() -> None:
    labels = LABELS.copy()
    labels[:9] = 255
    found = paint(PIXELS, labels, PALETTE)
    assert np.array_equal(found[:9], PIXELS[:9])
    assert np.array_equal(found[9:], paint(PIXELS, LABELS, PALETTE)[9:])


def test_labels_finer_than_the_picture() -> None:
    labels = LABELS.repeat(2, 0).repeat(2, 1)
    assert paint(PIXELS, labels, PALETTE).shape == (62, 94, 3)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (PIXELS, PIXELS),
        (PIXELS[..., 0], PIXELS[..., [0, 0, 0]]),
        (PIXELS[..., :1], PIXELS[..., [0, 0, 0]]),
        (np.dstack([PIXELS, PIXELS]), PIXELS),
        (PIXELS[..., :2], np.dstack([PIXELS[..., :2], np.zeros((31, 47), np.uint8)])),
        (np.array([[0, 4095]], np.uint16), np.array([[[0] * 3, [255] * 3]], np.uint8)),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), np.array([[[0] * 3, [128] * 3, [255] * 3]])),
        (np.full((2, 2), 7.0, np.float32), np.zeros((2, 2, 3), np.uint8)),
    ],
)
def test_pictures_of_any_kind_become_colour(pixels: np.ndarray, expected: np.ndarray) -> None:
    found = as_color(pixels)
    assert found.dtype == np.uint8 and np.array_equal(found, expected)


@torch.no_grad()
def test_painting_takes_less_time_than_predicting(tmp_path: Path) -> None:
    """Of a processor, for the demo's small model; the picture is encoded and written, too."""
    config = prepare_config(DEMO)
    config.model.pretrained = None
    model = MODELS.build(config.model).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (256, 512, 3)).astype(np.uint8)
    sample = SegDataSample(metainfo=dict(ori_shape=(256, 512), img_shape=(256, 512)))
    item = dict(inputs=torch.from_numpy(pixels).permute(2, 0, 1), data_samples=sample)
    palette = palette_of(config, model.num_classes)
    (maps,) = predict_batch(model, [item])
    times = []
    for _ in range(3):
        start = time.process_time()
        predict_batch(model, [item])
        middle = time.process_time()
        write_overlay(tmp_path / "a.jpg", paint(pixels, maps.labels, palette))
        times.append((middle - start, time.process_time() - middle))
    predicting, painting = (min(parts) for parts in zip(*times, strict=True))
    assert painting < predicting
