"""A published network of another project, sharpened: ESPNet with its CamVid weights.

`MMSEG_POINTREND_DATA` names a folder with `weights/espnet_p_2_q_8_camvid.pth`, as ESPNet's authors
publish it, and `camvid_sample` (or `camvid`): pictures and label maps, 11 = void.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mmseg_pointrend.core import Neighborhood, TrainingPoints
from mmseg_pointrend.evaluation.functional import intersections_and_unions, iou_per_class
from mmseg_pointrend.retrofit import HeadTraining, Retrofit, TrainingSettings
from tests.retrofit.espnet import ESPNet, normalized

DATA = Path(os.environ.get("MMSEG_POINTREND_DATA", "nowhere"))
WEIGHTS = DATA / "weights/espnet_p_2_q_8_camvid.pth"
#: The published model has a channel for void, which is not predicted.
CLASSES, VOID = 11, 11


def read_maps(network: ESPNet, images: Tensor) -> tuple[Tensor, list]:
    first, second, last = network.maps(images)
    logits = network.classifier(last)[:, :CLASSES]
    return F.avg_pool2d(logits, 4), [first, second, last, Neighborhood(images)]


def find_pictures(split: str, count: int) -> tuple[Tensor, Tensor]:
    """Read pictures, as the network takes them, and their labels."""
    root = next(
        (DATA / name for name in ("camvid_sample", "camvid") if (DATA / name).is_dir()), None
    )
    if root is None or not WEIGHTS.is_file():
        pytest.skip(
            "no real pictures: MMSEG_POINTREND_DATA names no folder with camvid and weights"
        )
    paths = sorted((root / split).glob("*.png"))[:count]
    pictures = [torch.from_numpy(np.array(Image.open(path).convert("RGB"))) for path in paths]
    labels = [
        torch.from_numpy(np.array(Image.open(root / f"{split}annot" / path.name))) for path in paths
    ]
    return normalized(torch.stack(pictures).permute(0, 3, 1, 2).float()), torch.stack(labels).long()


def mean_iou(predicted: Tensor, labels: Tensor) -> float:
    known = labels != VOID
    counts = intersections_and_unions(predicted.long(), labels, CLASSES, known, known)
    return 100 * float(iou_per_class(counts).nanmean())


def test_it_is_as_large_as_the_paper_says() -> None:
    """Table 3 of the paper: 0.364 million parameters for Cityscapes, of which 19 classes count."""
    parameters = sum(parameter.numel() for parameter in ESPNet(20).parameters())
    assert parameters == pytest.approx(0.364e6, rel=0.005)


def test_every_pixel_is_predicted() -> None:
    first, second, last = ESPNet(5, p=1, q=1).eval().maps(torch.zeros(1, 3, 48, 64))
    assert [tuple(maps.shape[1:]) for maps in (first, second, last)] == [
        (19, 24, 32), (131, 12, 16), (5, 24, 32),
    ]  # fmt: skip


@pytest.mark.slow
def test_its_published_weights_are_sharpened_and_stay() -> None:
    """Strictly loaded they predict what they were trained for; a few steps leave them alone."""
    images, labels = find_pictures("test", 3)
    network = ESPNet(CLASSES + 1)
    network.load_state_dict(torch.load(WEIGHTS, map_location="cpu", weights_only=True))
    published = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(0)
    model = Retrofit(network, read_maps, images[:1])
    with torch.no_grad():
        own = network(images)[:, :CLASSES].argmax(1)
    # Of all 233 test pictures 57 percent; wrong weights, channels or colours give less than 20.
    assert mean_iou(own, labels) > 40
    assert mean_iou(model.coarse_labels(images), labels) == pytest.approx(
        mean_iou(own, labels), abs=3
    )
    settings = TrainingSettings(3, training_points=TrainingPoints(512), ignore_index=VOID)
    HeadTraining(model, settings).run([find_pictures("train", 2)], report=None)
    assert all(torch.equal(value, published[name]) for name, value in network.state_dict().items())
    assert (model(images) != model.coarse_labels(images)).any()
