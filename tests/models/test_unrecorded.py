"""Pictures without a record, as by mmsegmentation's inference functions: right, or refused."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from mmseg_pointrend.models.restoring import restore
from mmseg_pointrend.models.unrecorded import check_pipelines
from tests.models.builders import model_config

init_default_scope("mmseg")

FLIP = dict(type="RandomFlip", prob=1.0)
PAD = dict(type="Pad", size=(96, 80))
SMALLER = dict(type="Resize", scale=(40, 30), keep_ratio=True)
STRETCHED = dict(type="Resize", scale=(64, 64))


def coordinates(height: int, width: int) -> np.ndarray:
    """(H, W, 3), float32: y, x and 0."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
    return np.stack([rows, columns, 0 * rows], 2)


def send(*steps: dict, shape: tuple[int, int] = (37, 51)) -> tuple[torch.Tensor, dict]:
    pipeline = Compose([dict(type="LoadImageFromNDArray"), *steps, dict(type="PackSegInputs")])
    item = pipeline(dict(img=coordinates(*shape)))
    return item["inputs"], item["data_samples"].metainfo


@pytest.mark.parametrize(
    "steps",
    [[], [SMALLER], [STRETCHED], [FLIP], [STRETCHED, FLIP], [PAD], [SMALLER, PAD], [STRETCHED, PAD],
     [dict(FLIP, direction="diagonal")]],
    ids=lambda steps: ", ".join(step["type"] for step in steps) or "nothing",
)  # fmt: skip
def test_what_the_sample_explains_is_undone(steps: list[dict]) -> None:
    inputs, meta = send(*steps)
    found = restore(inputs[None], meta)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - coordinates(37, 51))[3:-3, 3:-3].max() < 0.8


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([dict(type="CenterCrop", crop_size=(30, 20))], "saw 30 x 20 pixels of a picture of 51"),
        ([dict(type="RandomCrop", crop_size=(20, 30))], "saw 30 x 20 pixels of a picture of 51"),
        ([PAD, STRETCHED], "saw 64 x 64 pixels"),
        ([STRETCHED, SMALLER], "scale_factor=.* and pad_shape=None do not explain"),
        ([dict(type="ResizeToMultiple")], r"pad_shape=\(64, 64\) do not explain"),
        ([FLIP, PAD], "saw 96 x 80 pixels"),
    ],
)  # fmt: skip
def test_what_it_does_not_explain_is_refused(steps: list[dict], message: str) -> None:
    inputs, meta = send(*steps)
    with pytest.raises(ValueError, match=message):
        restore(inputs[None], meta)


def test_the_preprocessors_padding_hides_that_of_the_pipeline() -> None:
    inputs, meta = send(PAD)
    hidden = dict(meta, img_padding_size=(0, 0, 0, 16), pad_shape=(96, 96))
    with pytest.raises(ValueError, match="saw 96 x 80 pixels of a picture of 51 x 37"):
        restore(torch.nn.functional.pad(inputs[None], (0, 0, 0, 16)), hidden)


def test_samples_made_by_hand_go_where_they_say() -> None:
    meta = dict(img_shape=(10, 20), ori_shape=(37, 51))
    assert restore(torch.zeros(1, 2, 10, 20), meta).shape == (1, 2, 37, 51)


@pytest.mark.parametrize("place", ["test_pipeline", "test_dataloader"])
def test_pipelines_are_refused_by_the_name_of_the_transform(place: str) -> None:
    steps = [dict(type="LoadImageFromFile"), dict(type="mmseg.RandomRotate", prob=1.0, degree=90.0)]
    loader = dict(test_dataloader=dict(dataset=dict(pipeline=steps)))
    config = Config(loader if place == "test_dataloader" else dict(test_pipeline=steps))
    with pytest.raises(ValueError, match="the test pipeline's RandomRotate turns the picture"):
        check_pipelines(config)
    check_pipelines(Config(dict(test_pipeline=steps[:1])))
    check_pipelines(None)


@torch.no_grad()
def test_the_segmentor_looks_at_the_config_that_mmsegmentation_gives_it() -> None:
    from mmseg.registry import MODELS

    model = MODELS.build(model_config()).eval()
    images = torch.zeros(1, 3, 64, 64)
    model.predict(images)
    model.cfg = Config(dict(test_pipeline=[dict(type="CenterCrop", crop_size=(9, 9))]))
    with pytest.raises(ValueError, match="CenterCrop cuts a piece out of the picture"):
        model.predict(images)
