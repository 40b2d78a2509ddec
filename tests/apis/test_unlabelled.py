"""Test pictures without label maps: predicted and written, or one line before work starts."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmseg_pointrend.apis.prediction import predict
from mmseg_pointrend.apis.testing import test as run_test
from mmseg_pointrend.datasets.unlabelled import Labelled, count_labelled, without_labels
from tests.apis.test_same_labels import quick, write_config, write_weights  # noqa: F401
from tests.tools.commands import forget_runs

CASE = dict(
    loader="colour", classes="subset", style="names", wrapped=False, pipeline="both", mode="whole",
    preprocessor="none",
)  # fmt: skip


@TRANSFORMS.register_module()
class LabelsOfATest(BaseTransform):
    """Loads labels in a way of its own."""

    def transform(self, results: dict) -> dict:
        return dict(results, gt_seg_map=np.zeros(results["ori_shape"], np.uint8))


def start(path: Path, weights: Path, **changes: object) -> dict:
    forget_runs()
    return run_test(path, weights, **changes)


@pytest.mark.parametrize("how", ["no files", "no folder", "no step", "wrapped"])
def test_pictures_without_label_maps_are_predicted_and_written(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = write_config(dict(CASE, wrapped=how == "wrapped"), tmp_path)
    weights = write_weights(path, tmp_path)
    shutil.rmtree(tmp_path / "labels")
    options = {}
    if how == "no folder":
        options = {"test_dataloader.dataset.data_prefix": dict(img_path="images")}
        options["test_dataloader.dataset.data_prefix"]["_delete_"] = True
    elif how == "no step":
        steps = Config.fromfile(path).test_pipeline
        steps = [step for step in steps if step.type != "LoadAnnotations"]
        options = {"test_dataloader.dataset.pipeline": steps}
    with pytest.raises(
        ValueError, match=r"dataset: (1 of 1|2 of 2) pictures have no .*picture.png"
    ):
        start(path, weights, options=options)
    image = tmp_path / "images/picture.png"
    expected = predict(path, weights, image, tmp_path / "predicted.png", device="cpu")
    for tta in (False, True):
        out = tmp_path / f"tested {tta}"
        assert start(path, weights, out=out, tta=tta, options=options) == {}
        assert "they are predicted, nothing is measured" in capsys.readouterr().out
        (written,) = out.rglob("*.png")
        assert np.array_equal(np.array(Image.open(written)), expected)


def test_a_part_without_label_maps_is_named(tmp_path: Path) -> None:
    path = write_config(CASE, tmp_path)
    weights = write_weights(path, tmp_path)
    shutil.copy(tmp_path / "images/picture.png", tmp_path / "images/other.png")
    with pytest.raises(
        ValueError, match=r"1 of 2 pictures have no label map .*other.png.*ann_file"
    ):
        start(path, weights, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_counts_as_a_label_map(tmp_path: Path) -> None:
    leaf = Config.fromfile(write_config(CASE, tmp_path)).test_dataloader.dataset
    image = str(tmp_path / "images/picture.png")
    assert count_labelled([leaf]) == Labelled(1, 1, None)
    load, *_, pack = leaf.pipeline
    assert count_labelled([dict(leaf, pipeline=[load, pack])]) == Labelled(1, 0, image)
    own = [load, dict(type="LabelsOfATest"), pack]
    assert count_labelled([dict(leaf, pipeline=own)]) == Labelled(1, 1, None)
    assert count_labelled([leaf, dict(leaf, pipeline=[load, pack])]) == Labelled(2, 1, image)
    shutil.rmtree(tmp_path / "labels")
    assert count_labelled([leaf]) == Labelled(1, 0, image)


def test_label_steps_are_left_out_of_views_too() -> None:
    load, labels, pack = (
        dict(type=name) for name in ("LoadImageFromFile", "mmseg.LoadAnnotations", "PackSegInputs")
    )
    views = dict(
        type="TestTimeAug", transforms=[[dict(type="Resize", scale=(9, 9))], [labels], [pack]]
    )
    assert without_labels([load, labels, pack]) == [load, pack]
    (left,) = without_labels([views])
    assert left["transforms"] == [views["transforms"][0], [pack]]
