"""Test pipelines say how to get back to the picture, or refuse the transform that lost the way.

Pictures are their own coordinates: brought back, every pixel must hold its own place.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import BaseTransform
from mmcv.transforms import Resize as ResizeBase
from mmengine.dataset import ConcatDataset
from mmengine.registry import init_default_scope
from mmseg.datasets import BaseSegDataset
from mmseg.registry import TRANSFORMS

from mmseg_pointrend.core import Crop, Flip
from mmseg_pointrend.core import Resize as ResizeStep
from mmseg_pointrend.datasets.traced_pipeline import (
    TracedPipeline,
    check_undone_by_mmseg,
    trace_pipelines,
)
from mmseg_pointrend.models.restoring import restore

init_default_scope("mmseg")


def coordinates(height: int, width: int) -> np.ndarray:
    """(H, W, 2), float32: y and x of each pixel's centre."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
    return np.stack([rows, columns], 2)


class LoadCoordinates(BaseTransform):
    """Loads a picture of coordinates."""

    def transform(self, results: dict) -> dict:
        shape = results["shape"]
        return dict(results, img=coordinates(*shape), img_shape=shape, ori_shape=shape)


class Custom(BaseTransform):
    """A transform of one's own."""

    def __init__(self, change) -> None:
        self.change = change
        self.calls = 0

    def transform(self, results: dict) -> dict:
        self.calls += 1
        return dict(results, img=np.ascontiguousarray(self.change(results["img"])))


class OwnStep(BaseTransform):
    """A transform that says how it is undone: it halves the width, and mirrors."""

    def transform(self, results: dict) -> dict:
        height, width = results["img"].shape[:2]
        halved = cv2.resize(results["img"], (max(20, width // 2), height))
        results["img"] = np.ascontiguousarray(halved[:, ::-1])
        results["undo"] = [Flip("horizontal"), ResizeStep(height, width)]
        return results


def trace(steps: Sequence, shape: tuple[int, int], **record: object) -> dict:
    pipeline = TracedPipeline([LoadCoordinates(), *steps, dict(type="PackSegInputs")])
    return pipeline(dict(shape=shape, **record))


def brought_back(item: dict) -> np.ndarray:
    """What the network saw, at the picture's pixels: (H, W, 2)."""
    meta = item["data_samples"].metainfo
    found = restore(item["inputs"][None], meta)[0].permute(1, 2, 0).numpy()
    assert found.shape[:2] == meta["ori_shape"]
    return found


SIDES = st.integers(24, 70)
STEPS = st.one_of(
    st.builds(
        lambda height, width, keep: dict(type="Resize", scale=(width, height), keep_ratio=keep),
        SIDES, SIDES, st.booleans(),
    ),
    st.builds(lambda divisor: dict(type="Pad", size_divisor=divisor), st.integers(1, 33)),
    st.builds(lambda height, width: dict(type="Pad", size=(width, height)), SIDES, SIDES),
    st.just(dict(type="Pad", pad_to_square=True)),
    st.builds(
        lambda direction: dict(type="RandomFlip", prob=1.0, direction=direction),
        st.sampled_from(["horizontal", "vertical", "diagonal"]),
    ),
    st.just(dict(type="ResizeToMultiple", size_divisor=16)),
    st.just(dict(type="RandomChoiceResize", scales=[(40, 50), (64, 32)], keep_ratio=False)),
    st.just(dict(type="RandomChoice", transforms=[[dict(type="Pad", size=(80, 80))], []])),
    st.just(dict(type="RandomApply", transforms=[dict(type="RandomFlip", prob=1.0)])),
    st.just(dict(type="Compose", transforms=[dict(type="Pad", size_divisor=7)])),
    st.builds(lambda: Custom(lambda image: image * 1.0)),
    st.builds(lambda: Custom(lambda image: cv2.resize(image, (47, 53)))),
    st.builds(lambda: Custom(lambda image: np.pad(image, [(0, 9), (0, 4), (0, 0)], "edge"))),
    st.builds(OwnStep),
)  # fmt: skip


@given(st.tuples(SIDES, SIDES), st.lists(STEPS, max_size=4))
@settings(max_examples=60)
def test_every_pixel_comes_back_to_its_place(shape: tuple[int, int], steps: list) -> None:
    try:
        item = trace(steps, shape)
    except ValueError as error:
        # On the way the picture was too small to tell.
        assert re.search(r"Custom makes .* of (1?\d x|\d+ x 1?\d,)", str(error))
        return
    found = brought_back(item)
    # A pixel is interpolated between neighbours of the smallest picture on the way; along the edge
    # they may be padding.
    factor = max(1.0, max(shape) / 16)
    inner = tuple(slice(int(0.2 * side), int(0.8 * side) + 1) for side in shape)
    error = np.abs(found - coordinates(*shape))[inner]
    assert error.max() < 0.5 * factor


def test_flips_and_padding_are_undone_to_the_bit() -> None:
    steps = [
        dict(type="Pad", size=(60, 50)),
        dict(type="RandomFlip", prob=1.0, direction="diagonal"),
        dict(type="Pad", size_divisor=32),
        dict(type="RandomFlip", prob=1.0),
    ]
    item = trace(steps, (37, 51))
    assert item["inputs"].shape == (2, 64, 64)
    assert np.array_equal(brought_back(item), coordinates(37, 51))
    undo = item["data_samples"].metainfo["undo"]
    flips = (Flip("horizontal"), Flip("vertical"))
    assert undo == (flips[0], Crop(0, 0, 50, 60), *flips, Crop(0, 0, 37, 51))


def test_every_view_has_a_record_of_its_own() -> None:
    views = [
        [dict(type="Resize", scale_factor=0.5), dict(type="Resize", scale_factor=1.5)],
        [dict(type="RandomFlip", prob=prob, direction="vertical") for prob in (0.0, 1.0)],
        [dict(type="PackSegInputs")],
    ]
    pad = dict(type="Pad", size=(64, 64))
    pipeline = TracedPipeline([LoadCoordinates(), pad, dict(type="TestTimeAug", transforms=views)])
    item = pipeline(dict(shape=(37, 51)))
    assert len(item["inputs"]) == 4
    for inputs, sample in zip(item["inputs"], item["data_samples"], strict=True):
        found = brought_back(dict(inputs=inputs, data_samples=sample))
        assert np.abs(found - coordinates(37, 51))[4:-4, 4:-4].max() < 1e-3


REFUSED = {
    "CenterCrop": dict(crop_size=(20, 20)),
    "RandomCrop": dict(crop_size=(20, 20)),
    "RandomRotate": dict(prob=1.0, degree=10.0),
    "RandomRotFlip": dict(),
    "RandomCutOut": dict(prob=1.0, n_holes=1, cutout_shape=(5, 5)),
    "RandomMosaic": dict(prob=1.0),
    "MultiScaleFlipAug": dict(transforms=[dict(type="PackSegInputs")], scale_factor=1.0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_undone_is_refused_before_a_picture_is_read(name: str) -> None:
    step = dict(type=name, **REFUSED[name])
    for steps in (
        [step],
        [dict(type="Compose", transforms=[step])],
        [dict(type="RandomApply", transforms=[step])],
        [dict(type="TestTimeAug", transforms=[[step], [dict(type="PackSegInputs")]])],
        [TRANSFORMS.build(step)],
    ):
        with pytest.raises(ValueError, match=rf"^my pipeline: {name} .* leave it out"):
            TracedPipeline(steps, "my pipeline")


def test_a_class_derived_from_one_that_cannot_be_undone_is_refused() -> None:
    class OwnCutOut(TRANSFORMS.get("RandomCutOut")):
        pass

    with pytest.raises(ValueError, match="OwnCutOut covers parts of the picture"):
        TracedPipeline([OwnCutOut(prob=1.0, n_holes=1, cutout_shape=(5, 5))])


MOVING = {
    "turned": (np.rot90, (40, 40), "moves pixels"),
    "mirrored": (lambda image: image[:, ::-1], (40, 50), "moves pixels"),
    "cut": (lambda image: image[:30, 4:], (40, 50), "makes 46 x 30 pixels of 50 x 40"),
    "padded": (
        lambda image: np.pad(image, [(3, 3), (2, 2), (0, 0)]), (40, 50),
        "makes 54 x 46 pixels of 50 x 40",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVING)
def test_a_transform_of_ones_own_that_moves_pixels_is_refused(name: str) -> None:
    change, shape, message = MOVING[name]
    with pytest.raises(ValueError, match=rf"pipeline: Custom {message}.*leave it out.*'undo'"):
        trace([Custom(change)], shape)


def test_a_resize_of_ones_own_that_also_pads_is_refused() -> None:
    """Derived from mmcv's, and yet another."""

    class LetterResize(ResizeBase):
        def transform(self, results: dict) -> dict:
            results = super().transform(results)
            results["img"] = np.pad(results["img"], [(0, 20), (0, 0), (0, 0)])
            return results

    with pytest.raises(ValueError, match="LetterResize makes 40 x 50 pixels of 51 x 37"):
        trace([LetterResize(scale=(40, 30))], (37, 51))
    inner = dict(type="RandomResize", scale=(40, 30), ratio_range=(1.0, 1.0))
    TRANSFORMS.register_module(name="LetterResizeOfATest", module=LetterResize, force=True)
    with pytest.raises(ValueError, match="RandomResize makes"):
        trace([dict(inner, resize_type="LetterResizeOfATest")], (37, 51))


def test_transforms_are_tried_once() -> None:
    step = Custom(lambda image: image * 2)
    pipeline = TracedPipeline([LoadCoordinates(), step, dict(type="PackSegInputs")])
    pipeline(dict(shape=(40, 50)))
    tried = step.calls
    for shape in ((30, 60), (41, 51), (40, 50)):
        pipeline(dict(shape=shape))
    assert step.calls == tried + 3


def test_what_leaves_the_picture_alone_is_not_tried() -> None:
    """As a transform that loads labels; one that does something another time is tried then."""
    step = Custom(lambda image: image)
    pipeline = TracedPipeline([LoadCoordinates(), step, dict(type="PackSegInputs")])
    pipeline(dict(shape=(40, 50)))
    assert step.calls == 1
    step.change = np.flipud
    with pytest.raises(ValueError, match="Custom moves pixels"):
        pipeline(dict(shape=(40, 50)))


def test_small_pictures_do_not_vouch_for_large_ones() -> None:
    step = Custom(lambda image: image[::-1])
    pipeline = TracedPipeline([LoadCoordinates(), step, dict(type="PackSegInputs")])
    pipeline(dict(shape=(9, 40)))
    with pytest.raises(ValueError, match="Custom moves pixels"):
        pipeline(dict(shape=(40, 40)))


def test_a_step_that_sets_ori_shape_declares_what_the_picture_is() -> None:
    class TakeQuarter(BaseTransform):
        def transform(self, results: dict) -> dict:
            image = coordinates(20, 25)
            return dict(results, img=image, ori_shape=image.shape[:2])

    item = trace([dict(type="Pad", size=(60, 60)), TakeQuarter()], (37, 51))
    assert item["data_samples"].metainfo["undo"] == ()
    assert np.array_equal(brought_back(item), coordinates(20, 25))


def test_what_a_step_says_of_itself_must_be_steps() -> None:
    class Wrong(BaseTransform):
        def transform(self, results: dict) -> dict:
            return dict(results, undo=["flip"])

    with pytest.raises(TypeError, match=r"results\['undo'\] of Wrong must be steps .*'flip'"):
        trace([Wrong()], (37, 51))


def test_label_maps_that_move_with_the_picture_are_refused() -> None:
    labels = np.zeros((37, 51), np.uint8)
    flip = dict(type="RandomFlip", prob=1.0)
    for step in (flip, dict(type="Resize", scale_factor=0.5), dict(type="Pad", size=(60, 60))):
        with pytest.raises(ValueError, match=f"{step['type']} moves the label map.*LoadAnnotat"):
            trace([step], (37, 51), gt_seg_map=labels, seg_fields=["gt_seg_map"])
    idle = [
        dict(type="Resize", scale=(51, 37)),
        dict(flip, prob=0.0),
        dict(type="Pad", size=(51, 37)),
    ]
    item = trace(idle, (37, 51), gt_seg_map=labels, seg_fields=["gt_seg_map"])
    assert item["data_samples"].gt_sem_seg.data.shape == (1, 37, 51)


def test_the_network_must_see_what_the_pipeline_gave() -> None:
    item = trace([], (37, 51))
    padded = torch.nn.functional.pad(item["inputs"], (0, 13, 0, 27))
    with pytest.raises(ValueError, match="gave 51 x 37 pixels, but the network saw 64 x 64"):
        brought_back(dict(item, inputs=padded))
    item["data_samples"].set_metainfo(dict(img_padding_size=(0, 13, 0, 27)))
    assert np.array_equal(brought_back(dict(item, inputs=padded)), coordinates(37, 51))


def test_mmsegmentations_own_segmentors_are_told_what_they_cannot_undo() -> None:
    flip = dict(type="RandomFlip", prob=1.0)
    for steps in ([], [flip], [dict(type="Resize", scale_factor=0.5), flip]):
        check_undone_by_mmseg([trace(steps, (37, 51))["data_samples"]], "here")
    for steps, message in (
        ([dict(type="Pad", size=(60, 60))], "here: only .* undoes a padding of the pipeline"),
        ([flip, flip], "more than one flip"),
        ([flip, dict(flip, prob=0.0)], "more than one flip"),
        ([dict(flip, direction="diagonal")], "more than one flip"),
    ):
        samples = [trace(steps, (37, 51))["data_samples"]]
        with pytest.raises(ValueError, match=message):
            check_undone_by_mmseg([samples], "here")


def test_pipelines_of_wrapped_data_record_and_keep_their_steps(tmp_path: Path) -> None:
    leaf = BaseSegDataset(
        pipeline=[dict(type="LoadImageFromFile"), dict(type="PackSegInputs")],
        data_prefix=dict(img_path=str(tmp_path)),
        metainfo=dict(classes=("a", "b")),
        lazy_init=True,
    )
    steps = list(leaf.pipeline.transforms)
    data = ConcatDataset([leaf, leaf], lazy_init=True)
    assert trace_pipelines(data, "val_dataloader.dataset") == [leaf]
    assert isinstance(leaf.pipeline, TracedPipeline) and leaf.pipeline.transforms == steps
    assert leaf.pipeline.name == "val_dataloader.dataset.pipeline"
    assert trace_pipelines(data, "val_dataloader.dataset") == []
