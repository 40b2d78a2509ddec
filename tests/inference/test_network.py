"""Half precision, compiled parts and folded BatchNorms: what they change, and what is refused."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmseg_pointrend.apis.prediction import NetworkSettings, predict, predict_many
from mmseg_pointrend.apis.testing import test as run_test
from mmseg_pointrend.inference import network
from mmseg_pointrend.inference.network import fold_batch_norms, prepare_network
from mmseg_pointrend.inference.predictor import Details, Windows, predict_sliding, predict_whole
from mmseg_pointrend.inference.reading import load_image
from tests.apis.test_same_labels import quick, write_config, write_weights  # noqa: F401
from tests.inference.test_predictor import PLAIN, build, build_baseline, image  # noqa: F401
from tests.instance.heads import batch_of, build_detector
from tests.tools.commands import forget_runs

CASE = dict(
    loader="colour", classes="subset", style="names", wrapped=False, pipeline="both", mode="whole",
    preprocessor="none",
)  # fmt: skip
MAKERS = {
    "pointrend": build,
    "one logit": lambda: build(num_classes=2, out_channels=1, threshold=0.5),
    "baseline": lambda: build_baseline(4),
}
MODELS = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def with_statistics(model: nn.Module) -> nn.Module:
    """Give BatchNorms statistics and weights as of a training."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, std=0.2)
    return model


def batch_norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@torch.no_grad()
@MODELS
def test_folded_batch_norms_change_nothing_but_rounding(make, image: Path) -> None:  # noqa: F811
    model = with_statistics(make())
    folded = copy.deepcopy(model)
    prepare_network(folded, NetworkSettings(fold=True))
    assert batch_norms(model) > 20 and batch_norms(folded) == 0
    pictures = torch.randn(2, 3, 61, 83)
    for one, other in zip(model.extract_feat(pictures), folded.extract_feat(pictures), strict=True):
        assert not torch.equal(one, other)
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5 * float(one.abs().max()))
    labels = [predict_whole(found, PLAIN, image).labels for found in (model, folded)]
    assert (labels[0] != labels[1]).mean() < 1e-3


@torch.no_grad()
def test_a_detector_is_folded() -> None:
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = with_statistics(build_detector()).eval()
        expected = model.test_step(batch_of(1))[0].pred_instances
        prepare_network(model, NetworkSettings(fold=True))
        found = model.test_step(batch_of(1))[0].pred_instances
    assert batch_norms(model) == 0
    torch.testing.assert_close(found.bboxes, expected.bboxes, rtol=0, atol=1e-2)
    assert (found.masks != expected.masks).float().mean() < 1e-3


class Misnamed(nn.Module):
    """A neck whose BatchNorm is named after a convolution, and comes before it."""

    def __init__(self, neck: nn.Module) -> None:
        super().__init__()
        self.neck, self.conv, self.norm = neck, nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        first, *others = self.neck(maps)
        return [self.conv(self.norm(first).relu()), *others]


def test_what_cannot_be_folded_is_refused() -> None:
    model = build()
    model.neck = Misnamed(model.neck)
    with_statistics(model.eval())
    with pytest.raises(ValueError, match="fold changes what the network gives by .*; leave fold"):
        fold_batch_norms(model)
    with pytest.raises(ValueError, match="fold: no BatchNorm of the model follows a convolution"):
        fold_batch_norms(nn.Module.eval(_without_norms()))


def _without_norms() -> nn.Module:
    model = build()
    prepare_network(model, NetworkSettings(fold=True))
    return model


SETTINGS = {
    "amp": NetworkSettings(amp=True),
    "half": NetworkSettings(half=True),
    "folded amp": NetworkSettings(amp=True, fold=True),
    "folded half": NetworkSettings(half=True, fold=True),
}


@torch.no_grad()
@MODELS
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_half_precision(make, settings: NetworkSettings, image: Path) -> None:  # noqa: F811
    """Whole, with confidences and in windows; few labels are others."""
    model = with_statistics(make())
    half = copy.deepcopy(model)
    prepare_network(half, settings)
    assert half.extract_feat(torch.randn(1, 3, 64, 64))[0].dtype == torch.bfloat16
    assert half(torch.randn(1, 3, 64, 64)).dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")
    stored = {weights.dtype for weights in half.parameters()}
    assert stored == {torch.bfloat16 if settings.half else torch.float32}
    pixels = load_image(PLAIN, image)["img"]
    windows = Windows((48, 64), (30, 40))
    for predict_maps in (
        lambda found: predict_whole(found, PLAIN, image, Details(confidence=True)),
        lambda found: predict_whole(found, PLAIN, image),
        lambda found: predict_sliding(found, pixels, windows, with_confidence=True),
    ):
        expected, found = predict_maps(model), predict_maps(half)
        assert (expected.labels == found.labels).mean() > 0.97
        if found.confidence is not None:
            apart = np.abs(found.confidence.astype(int) - expected.confidence)
            assert np.quantile(apart, 0.95) < 12


def test_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the compiler notes what it was given: after folding, within autocast."""
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda f: compiled.append(f) or f)
    model = build()
    prepare_network(model, NetworkSettings(compile=True, amp=True, fold=True))
    assert [type(f.__self__).__name__ for f in compiled] == ["ResNetV1c", "FPN", "FPNHead"]
    with torch.no_grad():
        assert model.extract_feat(torch.randn(1, 3, 64, 64))[0].dtype == torch.bfloat16


def test_what_does_not_go_together() -> None:
    with pytest.raises(ValueError, match="amp and half are two ways .*: take one"):
        NetworkSettings(amp=True, half=True)
    with DefaultScope.overwrite_default_scope("mmdet"):
        detector = build_detector().eval()
    with pytest.raises(ValueError, match="half is for segmentors: .*; take amp"):
        prepare_network(detector, NetworkSettings(half=True))


@pytest.mark.parametrize("instructions", [True, False])
def test_fast_is_what_fits_model_and_machine(
    instructions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_computes_in_half", lambda device: instructions)
    fast = NetworkSettings(fast=True, compile=True)
    assert fast.resolve(build()) == NetworkSettings(amp=instructions, fold=True, compile=True)
    without = build()
    for part in list(without.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(part, name, nn.Identity())
    assert fast.resolve(without) == NetworkSettings(amp=instructions, compile=True)
    assert NetworkSettings(half=True).resolve(without) == NetworkSettings(half=True)
    with pytest.raises(ValueError, match="fast chooses by itself: leave out amp and fold$"):
        NetworkSettings(fast=True, amp=True, fold=True)


@torch.no_grad()
@pytest.mark.parametrize("roi_head", ["PointRendStandardRoIHead", "PointRendCascadeRoIHead"])
def test_objects_in_mixed_precision(roi_head: str) -> None:
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = build_detector(roi_head).eval()
        expected = model.test_step(batch_of(1))[0].pred_instances
        prepare_network(model, NetworkSettings(amp=True))
        found = model.test_step(batch_of(1))[0].pred_instances
    assert found.bboxes.dtype == torch.float32
    # Of boxes that are as good as equally sure the order may be another: find each again.
    apart = (found.bboxes[:, None] - expected.bboxes).abs().amax(2).amin(1)
    assert apart.median() < 1 and len(found.masks) == len(expected.masks)


# ---- by the tools --------------------------------------------------------------------------------


def test_prediction_and_test_agree_and_say_how(
    tmp_path: Path, call_tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_computes_in_half", lambda device: True)
    path = write_config(CASE, tmp_path)
    weights = write_weights(path, tmp_path)
    (picture,) = (tmp_path / "images").iterdir()
    amp = NetworkSettings(amp=True, fold=True)
    common = dict(device="cpu", network=amp)
    expected = predict(path, weights, picture, tmp_path / "one.png", **common)
    plain = predict(path, weights, picture, tmp_path / "plain.png", device="cpu")
    assert 0 < (expected != plain).mean() < 0.05
    tool = (path, weights, picture, "--device", "cpu", "--amp", "--fold")
    call_tool("predict.py", *tool, "--out", "tool.png")
    assert (tmp_path / "tool.png").read_bytes() == (tmp_path / "one.png").read_bytes()
    assert "error: amp and half are two ways" in call_tool.fail(
        "predict.py", *tool, "--half", "--out", "tool.png"
    )
    call_tool("test.py", path, weights, "--out", "tested", "--amp", "--fold")
    forget_runs()
    run_test(path, weights, out=tmp_path / "augmented", tta=True, network=amp)
    for out, most in (("tested", 0), ("augmented", 1e-3)):
        (written,) = (tmp_path / out).rglob("*.png")
        assert (_labels(written) != expected).mean() <= most

    def folder(**settings: object) -> int:
        found = predict_many(path, weights, [picture], tmp_path / "out", device="cpu", **settings)
        return found.predicted

    assert folder() == 1 and folder() == 0
    with pytest.raises(ValueError, match='network was null, is "amp, fold"; take another folder'):
        folder(network=amp)
    assert folder(network=amp, overwrite=True) == 1 and folder(network=amp) == 0
    # A record holds what it was, not that it was fast.
    assert folder(network=NetworkSettings(fast=True)) == 0
    with pytest.raises(ValueError, match='network was "amp, fold", is null; take another folder'):
        folder()
    (written,) = (tmp_path / "out/labels").iterdir()
    assert np.array_equal(_labels(written), expected)


def _labels(path: Path) -> np.ndarray:
    from PIL import Image

    return np.array(Image.open(path))
