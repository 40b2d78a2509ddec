"""A published network of another project, sharpened: ESPNet with its CamVid weights.

`MMSEG_POINTREND_DATA` names a folder with `weights/espnet_p_2_q_8_camvid.pth`, as ESPNet's authors
publish it, and `camvid_sample` (or `camvid`): pictures and label maps, 11 = void.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

from mmseg_pointrend.lab.espnet.camvid import CLASSES, CamVidPictures
from mmseg_pointrend.lab.espnet.network import ESPNet
from mmseg_pointrend.lab.espnet.sharpening import Sharpening, measure, train_head

DATA = Path(os.environ.get("MMSEG_POINTREND_DATA", "nowhere"))
WEIGHTS = DATA / "weights/espnet_p_2_q_8_camvid.pth"


@pytest.fixture
def camvid() -> Path:
    root = next(
        (DATA / name for name in ("camvid_sample", "camvid") if (DATA / name).is_dir()), None
    )
    if root is None or not WEIGHTS.is_file():
        pytest.skip(
            "no real pictures: MMSEG_POINTREND_DATA names no folder with camvid and weights"
        )
    return root


def test_it_is_as_large_as_the_paper_says() -> None:
    """0.36 million parameters for Cityscapes: 19 classes, and one for void."""
    parameters = sum(parameter.numel() for parameter in ESPNet(20).parameters())
    assert parameters == pytest.approx(0.364e6, rel=0.01)


def test_every_pixel_is_predicted() -> None:
    first, second, last = ESPNet(5, p=1, q=1).eval().maps(torch.zeros(1, 3, 48, 64))
    assert [tuple(maps.shape[1:]) for maps in (first, second, last)] == [
        (19, 24, 32), (131, 12, 16), (5, 24, 32),
    ]  # fmt: skip


def test_class_weights_follow_from_shares(tmp_path: Path) -> None:
    """A picture of which a quarter is void, a quarter class 0, and half class 3."""
    labels = np.repeat(np.array([[11, 0, 3, 3]], np.uint8), 4, axis=0)
    for folder, values in (("train", np.zeros((4, 4, 3), np.uint8)), ("trainannot", labels)):
        (tmp_path / folder).mkdir()
        Image.fromarray(values).save(tmp_path / folder / "a.png")
    pictures = CamVidPictures(tmp_path, "train")
    expected = [1 / np.log(1.10 + share) for share in (0.25, 0, 0, 0.5, *[0] * 7)]
    assert pictures.class_weights() == pytest.approx(expected, rel=1e-5)
    image, found = pictures[0]
    assert found.tolist() == labels.tolist()
    # Black, blue first.
    assert image[:, 0, 0].tolist() == pytest.approx(
        [-108.06 / 70.98 / 255, -106.45 / 71.65 / 255, -103.11 / 68.87 / 255], rel=1e-5
    )
    with pytest.raises(FileNotFoundError, match="there are no PNG files in .*test"):
        CamVidPictures(tmp_path, "test")


@pytest.mark.slow
def test_its_published_weights_are_sharpened_and_stay(camvid: Path) -> None:
    """Strictly loaded they predict what they were trained for; a few steps leave them alone."""
    network = ESPNet(CLASSES + 1)
    network.load_state_dict(torch.load(WEIGHTS, map_location="cpu", weights_only=True))
    published = {name: value.clone() for name, value in network.state_dict().items()}
    train, test = (Subset(CamVidPictures(camvid, split), range(3)) for split in ("train", "test"))
    train.class_weights = train.dataset.class_weights
    model = train_head(network, train, Sharpening(iterations=3))
    own = measure(lambda images: network(images)[:, :CLASSES].argmax(1), test)
    coarse = measure(model.coarse_labels, test)
    # Of all 233 test pictures 57 percent; wrong weights, channels or colours give less than 20.
    assert own["mIoU"] > 40
    assert coarse["mIoU"] == pytest.approx(own["mIoU"], abs=3)
    assert own["mIoU_2px"] < own["mIoU_8px"] < own["mIoU"]
    assert all(torch.equal(value, published[name]) for name, value in network.state_dict().items())
    assert measure(model, test) != coarse
