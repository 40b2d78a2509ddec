"""Labels outside the classes are found before training, by file."""

from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_pointrend.datasets.label_maps import describe_absent
from mmseg_pointrend.engine import LabelCheckHook, innermost_datasets
from tests.tools.folders import write_ade20k, write_cityscapes

PIPELINE = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")]


def cityscapes_config(root: Path) -> dict:
    prefix = dict(img_path="leftImg8bit/train", seg_map_path="gtFine/train")
    return dict(
        type="CityscapesDataset", data_root=str(root), data_prefix=prefix, pipeline=PIPELINE
    )


def cityscapes(root: Path):
    init_default_scope("mmseg")
    return DATASETS.build(cityscapes_config(root))


def label_file(root: Path, index: int = 2) -> Path:
    return root / f"gtFine/train/aachen/aachen_{index:06d}_000019_gtFine_labelTrainIds.png"


def test_good_labels_pass(tmp_path: Path) -> None:
    LabelCheckHook().check(cityscapes(write_cityscapes(tmp_path)), 19)


def test_a_wrong_label_is_named_with_its_file(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    labels = np.array(Image.open(label_file(tmp_path)))
    labels[3, 4], labels[5, 6] = 33, 19
    Image.fromarray(labels).save(label_file(tmp_path))
    with pytest.raises(ValueError, match=r"aachen_000002.*label\(s\) 19, 33; .* \[0, 18\] or be"):
        LabelCheckHook().check(cityscapes(tmp_path), 19)


def test_reduce_zero_label_counts(tmp_path: Path) -> None:
    """ADE20K's 150 becomes 149; read without reduce_zero_label it is no class."""
    init_default_scope("mmseg")
    write_ade20k(tmp_path)
    for path in (tmp_path / "annotations").rglob("*.png"):
        labels = np.array(Image.open(path))
        labels[-1, -1] = 150
        Image.fromarray(labels).save(path)
    config = dict(
        type="ADE20KDataset",
        data_root=str(tmp_path),
        data_prefix=dict(img_path="images/training", seg_map_path="annotations/training"),
        pipeline=PIPELINE,
    )
    LabelCheckHook().check(DATASETS.build(config), 150)
    with pytest.raises(ValueError, match=r"label\(s\) 150; .*reduce_zero_label"):
        LabelCheckHook().check(DATASETS.build(dict(config, reduce_zero_label=False)), 150)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"not a picture"), "cannot read label map .*aachen_000002"),
        (lambda path: path.unlink(), "cannot read label map .*aachen_000002"),
        (
            lambda path: Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(path),
            r"aachen_000002.*has shape \(9, 9, 3\); it must be one channel",
        ),
    ],
    ids=["garbage", "missing", "colours"],
)
def test_unusable_files_are_named(tmp_path: Path, damage, message: str) -> None:
    write_cityscapes(tmp_path)
    damage(label_file(tmp_path))
    with pytest.raises(ValueError, match=message):
        LabelCheckHook().check(cityscapes(tmp_path), 19)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_a_picture_whose_end_is_missing_is_named(tmp_path: Path, ending: str) -> None:
    """Some decoders fill what is missing with grey, others fail in the middle of a training."""
    write_cityscapes(tmp_path)
    folder = tmp_path / "leftImg8bit/train/aachen"
    for path in folder.glob("*.png"):
        Image.open(path).save(path.with_name(path.name.replace(".png", ".jpg")))
    config = dict(cityscapes_config(tmp_path), img_suffix=f"_leftImg8bit{ending}")
    init_default_scope("mmseg")
    dataset = DATASETS.build(config)
    LabelCheckHook().check(dataset, 19)
    path = folder / f"aachen_000001_000019_leftImg8bit{ending}"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ValueError, match=rf"picture {path} is damaged: its end is missing; fetch"):
        LabelCheckHook().check(dataset, 19)


def test_a_number_of_classes_that_differs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="num_classes=5, but CityscapesDataset has 19 classes"):
        LabelCheckHook().check(cityscapes(write_cityscapes(tmp_path)), 5)


def test_a_single_class_is_told_that_the_background_is_one(tmp_path: Path) -> None:
    config = cityscapes_config(write_cityscapes(tmp_path))
    config |= dict(type="BaseSegDataset", metainfo=dict(classes=("crack",)))
    init_default_scope("mmseg")
    dataset = DATASETS.build(dict(config, img_suffix="_leftImg8bit.png"))
    with pytest.raises(ValueError, match=r"one class, 'crack'; .*\(\"background\", 'crack'\)"):
        LabelCheckHook().check(dataset, 2)


def test_masks_of_0_and_255_are_explained(tmp_path: Path) -> None:
    """255 is ignored, so the foreground of such masks would never be seen."""
    write_cityscapes(tmp_path)
    for path in (tmp_path / "gtFine").rglob("*.png"):
        labels = np.array(Image.open(path))
        Image.fromarray(np.where(labels > 5, 255, 0).astype(np.uint8)).save(path)
    init_default_scope("mmseg")
    config = dict(
        type="BaseSegDataset",
        data_root=str(tmp_path),
        img_suffix="_leftImg8bit.png",
        seg_map_suffix="_gtFine_labelTrainIds.png",
        data_prefix=dict(img_path="leftImg8bit/train", seg_map_path="gtFine/train"),
        metainfo=dict(classes=("background", "crack"), palette=[(0, 0, 0), (9, 9, 9)]),
        pipeline=PIPELINE,
    )
    dataset = DATASETS.build(config)
    seen = LabelCheckHook().check(dataset, 2)
    assert seen == {0, 255}
    message = describe_absent(seen, dataset, 2)
    assert "No training label holds crack" in message and "write the second class as 1" in message
    assert describe_absent({0, 1}, dataset, 2) is None
    assert "never sees" in describe_absent({1}, dataset, 2)


def test_wrapped_data_sets_are_opened(tmp_path: Path) -> None:
    """Built, as the hook has them, and as configs, as they are before they are built."""
    leaf = cityscapes_config(write_cityscapes(tmp_path))
    repeated = dict(type="RepeatDataset", times=2, dataset=leaf)
    config = ConfigDict(type="ConcatDataset", datasets=[repeated, leaf])
    assert list(innermost_datasets(config)) == [leaf, leaf]
    inner = list(innermost_datasets(DATASETS.build(config)))
    assert [(type(one).__name__, len(one)) for one in inner] == [("CityscapesDataset", 4)] * 2


def test_a_test_says_how_many_pictures_it_found(tmp_path: Path) -> None:
    dataset = cityscapes(write_cityscapes(tmp_path))
    folder = tmp_path / "leftImg8bit/train"
    (folder / "aachen/more.PNG").write_bytes(b"")
    loop = SimpleNamespace(evaluator=SimpleNamespace(metrics=[SimpleNamespace(ignore_index=255)]))
    loader = SimpleNamespace(dataset=dataset)
    runner = SimpleNamespace(test_dataloader=loader, test_loop=loop, logger=Mock())
    LabelCheckHook().before_test(runner)
    runner.logger.info.assert_called_once_with(f"test_dataloader.dataset: 4 pictures in {folder}")
    (message,) = runner.logger.warning.call_args.args
    assert message.startswith(f"test_dataloader.dataset: passed over in {folder}: 1 *.PNG; ")
    loop.evaluator.metrics[0].ignore_index = 0
    with pytest.raises(ValueError, match=r"test_dataloader.dataset.ignore_index=255, but test_ev"):
        LabelCheckHook().before_test(runner)
