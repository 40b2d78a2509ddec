"""The coarse labels beside the rendered ones: those of 0 steps, from the same forward pass."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_pointrend.core import Subdivision, logit_margin
from tests.models.builders import model_config
from tests.models.test_tta import VIEWS, batch_of

#: The threshold lies among the probabilities that these random weights give.
BINARY = dict(num_classes=2, out_channels=1, threshold=0.62)
SLIDE = dict(mode="slide", crop_size=(64, 48), stride=(40, 31))
HEADS = pytest.mark.parametrize(
    "head", [{}, BINARY, dict(coarse_at_fine=True)], ids=["multi-class", "binary", "coarse-at-fine"]
)


def build(test_cfg: dict | None = None, **changes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    head = changes.pop("head", {})
    config = model_config(**dict(dict(subdivision=dict(steps=2, num_points=300)), **head))
    config.update(changes, test_cfg=test_cfg or dict(mode="whole"))
    config.data_preprocessor.test_cfg = dict(size_divisor=32)
    model = MODELS.build(ConfigDict(config))
    for parameter in model.decode_head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def pictures(resized: bool = True) -> tuple[torch.Tensor, list[SegDataSample]]:
    """Two images with padding, a flip and, if asked for, a resize."""
    images = torch.randn(2, 3, 101, 130, generator=torch.Generator().manual_seed(0))
    metas = [
        dict(img_shape=(101, 130), ori_shape=(77, 51)),
        dict(
            img_shape=(101, 130), img_padding_size=(0, 5, 0, 3), flip=True,
            flip_direction="horizontal", ori_shape=(98, 125),
        ),
    ]  # fmt: skip
    if not resized:
        metas[0]["ori_shape"] = (101, 130)
    return images, [SegDataSample(metainfo=meta) for meta in metas]


@torch.no_grad()
@HEADS
@pytest.mark.parametrize("logits", [False, True], ids=["labels", "logits"])
@pytest.mark.parametrize("mode", ["whole", "slide", "slide-and-resize"])
def test_labels_are_those_of_no_steps(mode: str, logits: bool, head: dict) -> None:
    """Bit for bit; and the rendered ones are what they are without `predict_coarse`."""
    test_cfg = None if mode == "whole" else SLIDE
    settings = dict(test_cfg=test_cfg, head=head, predict_logits=logits)
    both, alone, coarse = (build(predict_coarse=flag, **settings) for flag in (True, False, False))
    coarse.decode_head.subdivision = Subdivision(steps=0)
    results = []
    for model in (both, alone, coarse):
        images, samples = pictures(resized=mode != "slide")
        results.append(model(images, samples, mode="predict"))
    for found, refined, unrefined in zip(*results, strict=True):
        assert torch.equal(found.pred_sem_seg.data, refined.pred_sem_seg.data)
        assert torch.equal(found.coarse_sem_seg.data, unrefined.pred_sem_seg.data)
        assert found.coarse_sem_seg.data.dtype == torch.int64
        assert (found.coarse_sem_seg.data != found.pred_sem_seg.data).float().mean() > 0.01
        assert "coarse_sem_seg" not in refined
        assert ("seg_logits" in found) == logits
        if logits:
            assert torch.equal(found.seg_logits.data, refined.seg_logits.data)


@torch.no_grad()
@pytest.mark.parametrize("logits", [False, True], ids=["labels", "logits"])
def test_backbone_and_coarse_head_run_once_for_an_image(logits: bool) -> None:
    model = build(predict_coarse=True, predict_logits=logits)
    runs = []
    model.backbone.register_forward_hook(lambda *_: runs.append("backbone"))
    model.decode_head.coarse_head.register_forward_hook(lambda *_: runs.append("coarse head"))
    images, samples = pictures()
    model(images[:1], samples[:1], mode="predict")
    assert runs == ["backbone", "coarse head"]


@torch.no_grad()
def test_ready_logits_are_decided_as_ever() -> None:
    """`postprocess_result` is given K logits, and finds no coarse ones among them."""
    model = build(predict_coarse=True)
    logits = torch.randn(1, 4, 33, 47)
    (result,) = model.postprocess_result(logits)
    assert torch.equal(result.pred_sem_seg.data, logits.argmax(1))
    assert "coarse_sem_seg" not in result


@torch.no_grad()
@HEADS
@pytest.mark.parametrize("test_cfg", [None, SLIDE], ids=["whole", "slide"])
def test_augmentation_averages_both(test_cfg: dict | None, head: dict) -> None:
    results = []
    for steps, predict_coarse in ((2, True), (2, False), (0, False)):
        model = build(test_cfg, head=head, predict_coarse=predict_coarse)
        model.decode_head.subdivision = Subdivision(steps, num_points=300)
        tta = MODELS.build(dict(type="PointRendTTA", module=model, keep_probabilities=True))
        results.append(tta.test_step(batch_of(VIEWS[::5], images=2)))
    for both, refined, coarse in zip(*results, strict=True):
        assert torch.equal(both.pred_sem_seg.data, refined.pred_sem_seg.data)
        assert torch.equal(both.seg_probabilities.data, refined.seg_probabilities.data)
        assert torch.equal(both.coarse_sem_seg.data, coarse.pred_sem_seg.data)
        assert (both.coarse_sem_seg.data != both.pred_sem_seg.data).any()


@torch.no_grad()
def test_coarse_labels_are_the_resized_logits_best() -> None:
    """Against torch's own resizing."""
    model = build(predict_coarse=True)
    images, samples = pictures()
    coarse = model.decode_head.coarse_prediction(model.extract_feat(images[:1]))
    for size in ((101, 130), (77, 51)):
        coarse = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    found = model(images[:1], samples[:1], mode="predict")[0].coarse_sem_seg.data
    assert logit_margin(coarse)[found != coarse.argmax(1)].le(1e-4).all()
