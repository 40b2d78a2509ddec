"""Pictures of what PointRend changes: which objects are drawn, and what is drawn of them."""

from pathlib import Path

import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmengine.structures import InstanceData
from PIL import Image

from mmseg_pointrend.apis.configs import shipped_config
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


def mask_of(value: int) -> np.ndarray:
    """A mask that can be told from others."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:value] = True
    return mask


def test_objects_that_both_have_found_are_compared(dataset: CocoDataset) -> None:
    index = 1  # the first picture has a crowd
    circle, square = dataset.get_data_info(index)["instances"]
    near = (np.array(circle["bbox"]) + [0, 0, 2, 2]).tolist()
    far = (np.array(circle["bbox"]) + [12, 0, 12, 0]).tolist()
    rendered = predictions(
        (circle["bbox"], 0, 0.4, mask_of(1)),
        (near, 0, 0.6, mask_of(2)),
        (far, 0, 0.9, mask_of(3)),
        (circle["bbox"], 1, 0.9, mask_of(4)),
        (square["bbox"], 1, 0.9, mask_of(5)),
    )
    baseline = predictions((near, 0, 0.5, mask_of(6)), (square["bbox"], 0, 0.9, mask_of(7)))
    (found,) = compared_objects(dataset, index, rendered, baseline)
    assert found.label == 0
    assert list(found.masks) == ["truth", "without PointRend", "coarse", "rendered"]
    rows = [int(mask[:, 0].sum()) for mask in found.masks.values()]
    assert rows[1:] == [6, 0, 2]
    assert found.difference[:, 0].tolist() == [False] * 2 + [True] * 4 + [False] * (HEIGHT - 6)
    # The truth is where the picture is red, but for the polygon's outermost pixels.
    assert (found.image[found.masks["truth"]] == (255, 0, 0)).all(1).mean() > 0.9
    assert len(list(compared_objects(dataset, index, rendered, None))) == 2
    crowds = [one for one in dataset.get_data_info(0)["instances"] if one["ignore_flag"]]
    everything = predictions(
        *((one["bbox"], one["bbox_label"], 0.9, mask_of(1))
          for one in dataset.get_data_info(0)["instances"])
    )  # fmt: skip
    assert len(crowds) == 1
    assert len(list(compared_objects(dataset, 0, everything, None))) == 1


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
    assert shown.iou("rendered") == pytest.approx(100 * 15 / 16)
    assert shown.iou("coarse") == pytest.approx(100 * 8 / 17)


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
    monkeypatch.setattr(rule, "FOUND", 0.0)
    monkeypatch.setattr("mmseg_pointrend.lab.figures.instances.DEFAULT_SCORE", 0.0)
    for options in (arguments, arguments[:5]):
        call_tool(*options)
        picture = np.array(Image.open(out).convert("RGB"))
        assert picture.shape[0] > 300 and picture.shape[1] > 800
        assert picture.std() > 10
        out.unlink()
