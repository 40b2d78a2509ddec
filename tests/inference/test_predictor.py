"""How sure a label is: the probability of its class at the picture's own pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import MODELS
from PIL import Image
from torch import nn

from mmseg_pointrend.inference.predictor import (
    LABELS,
    Details,
    Windows,
    predict_batch,
    predict_sliding,
    predict_whole,
)
from mmseg_pointrend.inference.reading import apply_test_pipeline, load_image
from tests.models.builders import fpn_head, model_config

SURE = Details(confidence=True)
PLAIN = [dict(type="LoadImageFromFile"), dict(type="PackSegInputs")]
RESIZED = [PLAIN[0], dict(type="Resize", scale=(96, 64), keep_ratio=True), PLAIN[1]]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((83, 61)).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def build(**head: object) -> nn.Module:
    config = model_config(**head)
    return with_random_weights(MODELS.build(config))


def build_baseline(channels: int) -> nn.Module:
    config = model_config()
    config.type = "EncoderDecoder"
    config.decode_head = fpn_head(num_classes=max(channels, 2), out_channels=channels)
    if channels == 1:
        config.decode_head.update(
            threshold=0.5, loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=True)
        )
    return with_random_weights(MODELS.build(config))


@torch.no_grad()
def with_random_weights(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if name.startswith("decode_head"):
            nn.init.normal_(parameter, std=0.2 if hasattr(model, "output_scale") else 0.6)
            # Biases would make one class of all.
            parameter *= not name.endswith("bias")
    return model.eval()


def probabilities(model: nn.Module, pipeline: list[dict], image: Path) -> torch.Tensor:
    """Give (K, H, W) or, of one logit, (2, H, W) probabilities, by way of `seg_logits`."""
    model.predict_logits = True
    (sample,) = model.test_step(pseudo_collate([apply_test_pipeline(pipeline, image)]))
    model.predict_logits = False
    found = sample.seg_logits.data.double()
    if len(found) > 1:
        return found.softmax(0)
    # mmsegmentation's own segmentor leaves a probability there, ours a logit.
    of_one = found.sigmoid() if hasattr(model, "output_scale") else found
    return torch.cat([1 - of_one, of_one])


@torch.no_grad()
@pytest.mark.parametrize("pipeline", [PLAIN, RESIZED], ids=["plain", "resized"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: build(),
        lambda: build(num_classes=2, out_channels=1, threshold=0.5),
        lambda: build_baseline(4),
        lambda: build_baseline(1),
    ],
    ids=["pointrend", "one logit", "baseline", "baseline, one logit"],
)
def test_confidence_is_the_probability_of_the_label(make, pipeline, image: Path) -> None:
    model = make()
    expected = probabilities(model, pipeline, image)
    if model.out_channels == 1:
        model.decode_head.threshold = expected[1].median().item()
    maps = predict_whole(model, pipeline, image, SURE)
    plain = predict_whole(model, pipeline, image)
    assert plain.confidence is None and len(np.unique(maps.labels)) > 1
    assert (maps.labels == plain.labels).mean() > 0.999
    expected = expected.gather(0, torch.from_numpy(maps.labels.astype(int))[None])[0]
    assert maps.labels.shape == maps.confidence.shape == (61, 83)
    assert np.abs(maps.confidence / 255.0 - expected.numpy()).max() < 0.6 / 255


@torch.no_grad()
def test_windows_are_as_sure_as_the_whole(image: Path) -> None:
    """One larger than the picture; and where several overlap, by the mean of their logits."""
    model = build()
    pixels = load_image(PLAIN, image)["img"]
    whole = predict_whole(model, PLAIN, image, SURE)
    windows = Windows((999, 999), (500, 500))
    found = predict_sliding(model, pixels, windows, with_confidence=True)
    assert np.array_equal(found.labels, whole.labels)
    assert np.abs(found.confidence.astype(int) - whole.confidence).max() <= 1
    windows = Windows((32, 64), (16, 32))
    found = predict_sliding(model, pixels, windows, with_confidence=True)
    assert np.array_equal(found.labels, predict_sliding(model, pixels, windows).labels)
    assert not np.array_equal(found.confidence, whole.confidence)


@torch.no_grad()
def test_a_batch_is_its_pictures(image: Path) -> None:
    model = build()
    other = image.with_name("other.png")
    Image.fromarray(np.array(Image.open(image))[::-1]).save(other)
    items = [apply_test_pipeline(PLAIN, path) for path in (image, other)]
    for details in (LABELS, SURE):
        for path, maps in zip((image, other), predict_batch(model, items, details), strict=True):
            alone = predict_whole(model, PLAIN, path, details)
            assert (maps.labels == alone.labels).mean() > 0.999


def test_windows_that_are_asked_for() -> None:
    assert Windows.choose(None) is None
    assert Windows.choose([96, 160]) == Windows((96, 160), (64, 106))
    assert Windows.choose((1, 1)) == Windows((1, 1), (1, 1))
    with pytest.raises(ValueError, match="stride is that of sliding windows"):
        Windows.choose(None, (9, 9))
    with pytest.raises(ValueError, match="stride must not exceed the window"):
        Windows.choose((9, 9), (10, 9))
