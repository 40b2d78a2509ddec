"""How many pictures a data set finds, what it passes over, and what it cannot be built without."""

from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_pointrend.datasets.found_pictures import describe_pictures, find_pictures


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((3, 3), np.uint8)).save(root / name, format="png")
    return root


def config(root: Path, **settings) -> dict:
    init_default_scope("mmseg")
    return dict(
        type="BaseSegDataset",
        data_root=str(root),
        data_prefix=dict(img_path="images", seg_map_path="labels"),
        img_suffix=".png",
        metainfo=dict(classes=("a", "b")),
        **settings,
    )


def test_files_of_another_ending_are_counted(tmp_path: Path) -> None:
    names = ("a.png", "b/b.png", "c.PNG", "b/d.PNG", "e.PNG", "f.jpeg")
    write(tmp_path / "images", *names)
    (tmp_path / "images/readme.txt").write_text("no picture")
    ((count, warning),) = describe_pictures([DATASETS.build(config(tmp_path))])
    assert count == f"2 pictures in {tmp_path}/images"
    assert warning.startswith(f"passed over in {tmp_path}/images: 3 *.PNG, 1 *.jpeg; ")


def test_nothing_is_passed_over(tmp_path: Path) -> None:
    """Label maps beside their pictures are none; what a list leaves out is meant to be."""
    write(tmp_path / "images", "a.png", "a_label.png")
    beside = dict(config(tmp_path, seg_map_suffix="_label.png"), img_suffix="a.png")
    expected = (f"1 picture in {tmp_path}/images", None)
    assert list(describe_pictures([DATASETS.build(beside)])) == [expected]
    write(tmp_path / "images", "b.PNG")
    (tmp_path / "list.txt").write_text("a\n")
    listed = config(tmp_path, ann_file="list.txt")
    assert list(describe_pictures([DATASETS.build(listed)])) == [expected]


def test_what_another_data_set_or_a_subset_leaves_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "images", "a.png", "b.png", "c.PNG")
    first = DATASETS.build(config(tmp_path, indices=1))
    second = DATASETS.build(dict(config(tmp_path), img_suffix=".PNG"))
    expected = (f"1 picture in {tmp_path}/images", None)
    assert list(describe_pictures([first, second])) == [expected, (expected[0], ANY)]
    assert "1 *.PNG" in next(iter(describe_pictures([first])))[1]


def test_no_pictures_at_all(tmp_path: Path) -> None:
    write(tmp_path / "images", "a.PNG", "b.PNG")
    with pytest.raises(ValueError, match=r"val: no images \*\.png found .*passed over: 2 \*\.PNG"):
        find_pictures(config(tmp_path), "val")


def test_a_list_that_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "images", "a.png")
    with pytest.raises(FileNotFoundError, match=r"val: ann_file .*/list\.txt does not exist"):
        find_pictures(config(tmp_path, ann_file="list.txt"), "val")


@pytest.mark.parametrize("test_mode", [False, True])
def test_class_names_that_are_missing(tmp_path: Path, test_mode: bool) -> None:
    write(tmp_path / "images", "a.png")
    nameless = dict(config(tmp_path, test_mode=test_mode), metainfo=None)
    with pytest.raises(ValueError, match="val: BaseSegDataset has no class names"):
        find_pictures(nameless, "val", needs_classes=True)
    assert find_pictures(nameless, "train").metainfo.get("classes") is None
    assert find_pictures(config(tmp_path), "val", needs_classes=True).metainfo["classes"]


@pytest.mark.parametrize("kind", ["ChaseDB1Dataset", "DRIVEDataset", "STAREDataset", "HRFDataset"])
def test_a_folder_that_is_missing(tmp_path: Path, kind: str) -> None:
    """mmsegmentation's classes for these stop at a bare assertion."""
    init_default_scope("mmseg")
    prefix = dict(img_path="images", seg_map_path="labels")
    settings = dict(type=kind, data_root=str(tmp_path), data_prefix=prefix)
    with pytest.raises(FileNotFoundError, match=rf"train: {tmp_path}/images does not exist; set"):
        find_pictures(settings, "train")


def test_a_list_that_a_data_set_asks_for(tmp_path: Path) -> None:
    init_default_scope("mmseg")
    (tmp_path / "images").mkdir()
    settings = dict(type="PascalVOCDataset", data_root=str(tmp_path), ann_file="train.txt")
    settings["data_prefix"] = dict(img_path="images")
    with pytest.raises(FileNotFoundError, match=rf"train: {tmp_path}/train.txt does not exist"):
        find_pictures(settings, "train")
