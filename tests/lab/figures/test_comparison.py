"""Pictures of what PointRend changes: which objects are drawn, and what is drawn of them."""

from pathlib import Path

import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmengine.structures import InstanceData
from PIL import Image
from pycocotools.mask import decode

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.instance.evaluation.truths import encode_segmentation
from mmseg_pointrend.lab.demo.semantic import SEMANTIC
from mmseg_pointrend.lab.figures.compared_objects import ComparedObject, compared_objects
from tests.instance.conftest import same_scope  # noqa: F401 - as all tests of mmdet's models
from tests.instance.tiny_coco import CLASSES, HEIGHT, WIDTH, write_config, write_tiny_coco

TOOL = "analysis_tools/draw_comparison.py"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> CocoDataset:
    folder = write_tiny_coco(tmp_path_factory.mktemp("tiny"))
    return CocoDataset(
        ann_file=str(folder / "instances.json"),
        data_prefix=dict(img=str(folder / "images")),
        metainfo=dict(classes=CLASSES),
        test_mode=True,
        pipeline=[],
    )


def predictions(*found: tuple[list[float], int, float, np.ndarray]) -> InstanceData:
    """Predictions of (box, class, score, mask); coarse masks are empty."""
    boxes, labels, scores, masks = zip(*found, strict=True)
    masks = np.stack(masks)
    return InstanceData(
        bboxes=np.array(boxes, np.float32),
        labels=np.array(labels),
        scores=np.array(scores),
        masks=masks,
        coarse_masks=np.zeros_like(masks),
    )


def test_objects_that_both_have_found_are_compared(dataset: CocoDataset) -> None:
    index = 1  # the first picture has a crowd
    circle, square = dataset.get_data_info(index)["instances"]
    left, top, right, bottom = (int(side) for side in square["bbox"])

    def mask_of(rows: int) -> np.ndarray:
        """A mask that has so many of the square's 24 rows."""
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[top : top + rows, left:right] = True
        return mask

    far, near = [left, top, right, bottom + 12], [left, top, right, bottom + 2]
    rendered = predictions(
        (square["bbox"], 1, 0.4, mask_of(23)),
        (near, 1, 0.6, mask_of(22)),
        (far, 1, 0.9, mask_of(21)),
        (square["bbox"], 0, 0.9, mask_of(20)),  # another class
        (square["bbox"], 1, 0.9, mask_of(11)),  # less than half of it
        (circle["bbox"], 0, 0.9, circle_mask(dataset, index)),
    )
    baseline = predictions((near, 1, 0.5, mask_of(18)), (circle["bbox"], 1, 0.9, mask_of(24)))
    (found,) = compared_objects(dataset, index, rendered, baseline)
    assert found.label == 1
    assert list(found.masks) == ["truth", "baseline", "coarse", "rendered"]
    assert [int(mask[:, left].sum()) for mask in found.masks.values()] == [24, 18, 0, 22]
    assert found.difference.sum() == 4 * 20 and found.difference[top + 18, left]
    assert found.iou("rendered") == pytest.approx(22 / 24)
    # The truth is where the picture is green.
    assert (found.image[found.masks["truth"]] == (0, 255, 0)).all()
    assert len(list(compared_objects(dataset, index, rendered, None))) == 2


def circle_mask(dataset: CocoDataset, index: int) -> np.ndarray:
    polygons = dataset.get_data_info(index)["instances"][0]["mask"]
    return decode(encode_segmentation(polygons, (HEIGHT, WIDTH))) > 0


def test_crowds_are_not_compared(dataset: CocoDataset) -> None:
    first, crowd = dataset.get_data_info(0)["instances"]
    assert (first["ignore_flag"], crowd["ignore_flag"]) == (0, 1)
    circle = circle_mask(dataset, 0)
    found = predictions((first["bbox"], 0, 0.9, circle), (crowd["bbox"], 1, 0.9, circle))
    assert [one.label for one in compared_objects(dataset, 0, found, None)] == [0]


def test_the_window_is_where_most_pixels_differ() -> None:
    truth, coarse = np.zeros((2, 31, 60), bool)
    truth[3:7, 40:44] = True
    rendered = truth.copy()
    rendered[6, 43] = False
    coarse[5:7, 40:44] = True
    coarse[25, 3] = True  # one pixel far away
    shown = ComparedObject(np.zeros((31, 60, 3), np.uint8), 0, dict(
        truth=truth, coarse=coarse, rendered=rendered
    ))  # fmt: skip
    top, left, side = shown.window()
    assert side == 10
    inside = shown.difference[top : top + side, left : left + side]
    assert inside.sum() == 9 and shown.difference.sum() == 10
    assert shown.iou("rendered") == pytest.approx(15 / 16)
    assert shown.iou("coarse") == pytest.approx(8 / 17)


@pytest.mark.slow
def test_objects_are_drawn(tmp_path: Path, call_tool, monkeypatch, random_weights) -> None:
    from mmseg_pointrend.lab.figures import compared_objects as rule

    config = write_config(tmp_path / "pointrend")
    baseline = write_config(tmp_path / "baseline", name="mask-rcnn_r50-caffe_fpn_ms-1x_coco")
    weights, out = tmp_path / "random.pth", tmp_path / "new/comparison.png"
    weights.touch()
    arguments = (TOOL, config, weights, "--out", out, "--baseline", baseline, weights)
    assert "no picture: in 4 pictures no object is found" in call_tool.fail(*arguments)
    message = call_tool.fail(TOOL, baseline, weights, "--out", out)
    assert "has no PointRend head" in message

    config_of_labels = shipped_config(SEMANTIC.configs["pointrend"])
    message = call_tool.fail(TOOL, config_of_labels, weights, *arguments[3:])
    assert "baseline is for the masks of objects" in message

    # Random weights find nothing; what they predict is drawn all the same.
    monkeypatch.setattr(rule, "SAME_BOX", 0.0)
    monkeypatch.setattr(rule, "SAME_MASK", 0.0)
    monkeypatch.setattr("mmseg_pointrend.lab.figures.instances.DEFAULT_SCORE", 0.0)
    for options in (arguments, arguments[:5]):
        call_tool(*options)
        picture = np.array(Image.open(out).convert("RGB"))
        assert picture.shape[0] > 200 and picture.shape[1] > 800
        assert picture.std() > 10
        out.unlink()
