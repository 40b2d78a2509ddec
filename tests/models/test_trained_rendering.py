"""Labels rendered by a trained model: equal to those of its logits, and mostly sparse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_pointrend.core import MARGINS, logit_margin
from mmseg_pointrend.core.label_rendering import rendering
from mmseg_pointrend.lab.scenes import draw_scene
from tests.models.builders import model_config

SIZE = (96, 192)


def batch(*seeds: int) -> tuple[Tensor, list[SegDataSample]]:
    scenes = [draw_scene(np.random.default_rng(seed), SIZE, difficulty=0.2) for seed in seeds]
    images = torch.stack([torch.from_numpy(picture).permute(2, 0, 1) for picture, _ in scenes])
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=torch.from_numpy(labels)[None].long()))
        for _, labels in scenes
    ]
    return (images.float() - 127) / 60, samples


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(model_config(num_classes=9, subdivision=dict(steps=2, num_points=0.02)))
    model.init_weights()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    images, samples = batch(*range(8))
    model.train()
    for step in range(60):
        part = slice(4 * (step % 2), 4 * (step % 2) + 4)
        loss, logged = model.parse_losses(model(images[part], samples[part], mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert logged["decode.coarse.acc_seg"] > 60  # it has learned something
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize("margin", ["logit", "probability"])
@pytest.mark.parametrize("original", [SIZE, (131, 257), (70, 150)], ids=str)
def test_labels_of_a_trained_model(trained, margin, original, monkeypatch, record_property) -> None:
    head = trained.decode_head
    monkeypatch.setattr(head, "subdivision", replace(head.subdivision, margin=MARGINS[margin]))
    monkeypatch.setattr(rendering, "subdivide_into_planes", None)  # the sparse way alone
    images, _ = batch(100, 101, 102)
    labels, logits = [], []
    for trained.predict_logits in (False, True):
        samples = [SegDataSample(metainfo=dict(ori_shape=original)) for _ in images]
        for result in trained(images, samples, mode="predict"):
            labels.append(result.pred_sem_seg.data)
            logits += [result.seg_logits.data] if trained.predict_logits else []
    different = torch.stack(labels[:3]) != torch.stack(labels[3:])
    margins = torch.stack([logit_margin(values[None]) for values in logits])
    record_property("pixels_that_differ", f"{different.sum()} of {different.numel()}")
    # The order of nearly equal margins decides which pixel is predicted, so count, too.
    assert different.float().mean() <= 1e-3
    assert margins[different].le(0.1).all()
