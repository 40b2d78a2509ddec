"""The steps of objects' masks end with the masks that a test gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from torch import nn

from mmseg_pointrend.apis import PointRendInferencer
from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.visualization import visualize
from mmseg_pointrend.inference.instances import decode_mask
from mmseg_pointrend.inference.object_steps import ObjectSteps, predict_object_steps
from tests.instance.tiny_coco import write_config

pytestmark = pytest.mark.slow


def prepare(folder: Path, name: str) -> tuple[PointRendInferencer, Path]:
    """A detector with random weights, and a picture."""
    config = write_config(folder, name, pictures=2)
    torch.manual_seed(1)
    model = MODELS.build(prepare_config(config).model)
    for part, parameter in model.roi_head.named_parameters():
        if "mask_head" in part:
            nn.init.normal_(parameter, std=0.2)
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / "weights.pth")
    inferencer = PointRendInferencer(config, folder / "weights.pth", "cpu", score=0.0)
    return inferencer, folder / "data/images/0.png"


def steps_of(inferencer: PointRendInferencer, picture: Path) -> list[ObjectSteps]:
    return predict_object_steps(inferencer.model, inferencer.reader.read(picture), score=0.0)


@pytest.fixture(scope="module")
def mask_rcnn(tmp_path_factory: pytest.TempPathFactory) -> tuple[PointRendInferencer, Path]:
    folder = tmp_path_factory.mktemp("mask_rcnn")
    return prepare(folder, "pointrend-mask-rcnn_r50-caffe_fpn_ms-1x_coco")


def test_the_last_step_is_the_mask(mask_rcnn) -> None:
    inferencer, picture = mask_rcnn
    found, expected = steps_of(inferencer, picture), inferencer(picture)
    assert len(found) == len(expected.labels) > 2
    differing = pixels = changed = 0
    for one, label, score, runs in zip(
        found, expected.labels, expected.scores, expected.masks, strict=True
    ):
        assert one.label == label and one.score == pytest.approx(score)
        mask = decode_mask(runs)
        # All of it is in the window.
        assert mask.sum() == mask[one.window].sum()
        coarse, *others = one.steps
        assert len(coarse.points) == 0 and all(len(step.points) for step in others)
        differing += (others[-1].labels != mask[one.window]).sum()
        pixels += mask[one.window].size
        changed += (others[-1].labels != coarse.labels).sum()
        for step in others:
            height, width = step.labels.shape
            assert ((step.points >= 0) & (step.points <= (width, height))).all()
            assert np.array_equal(step.runner_up, 1 - step.labels)
            assert (step.probabilities.astype(int).sum(0) - 255 <= 1).all()
            assert (step.probabilities[0] >= step.probabilities[1]).all()
    assert differing <= 1e-4 * pixels and changed > 0


def test_a_cascade_shows_its_last_stage(tmp_path: Path) -> None:
    inferencer, picture = prepare(tmp_path, "pointrend-cascade-mask-rcnn_r50-caffe_fpn_ms-3x_coco")
    found = steps_of(inferencer, picture)
    head = inferencer.model.roi_head.mask_head[-1]
    full = head.subdivision.full_steps(head.coarse_head.output_size)
    # Of the steps that predict every point the last one counts.
    assert {len(one.steps) for one in found} == {head.subdivision.steps - full + 2}


def test_files_of_every_object(mask_rcnn, tmp_path: Path, capsys) -> None:
    inferencer, picture = mask_rcnn
    written = visualize(inferencer, tmp_path, [picture])
    assert len(written) == 2 * len(steps_of(inferencer, picture))
    names = {path.relative_to(tmp_path).as_posix() for path in written}
    first = "disc" if steps_of(inferencer, picture)[0].label == 0 else "box"
    assert {f"0/001-{first}.html", f"0/001-{first}.png"} <= names
    assert all(path.is_file() for path in written)
    with pytest.raises(ValueError, match="objects are shown without a truth"):
        visualize(inferencer, tmp_path, [picture], [picture])


def test_nothing_is_found(mask_rcnn, tmp_path: Path, capsys) -> None:
    inferencer, picture = mask_rcnn
    assert predict_object_steps(inferencer.model, inferencer.reader.read(picture), 1.1) == []


def test_a_detector_without_pointrend(tmp_path: Path) -> None:
    inferencer, picture = prepare(tmp_path, "mask-rcnn_r50-caffe_fpn_ms-1x_coco")
    with pytest.raises(ValueError, match="of a detector with PointRend .* got StandardRoIHead"):
        steps_of(inferencer, picture)
