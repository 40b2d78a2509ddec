"""Scenes with the masks of their things: what is drawn, what is written, what mmdet reads back."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

import mmseg_pointrend.instance  # noqa: F401  (mmdet imports where no ops are compiled)
from mmseg_pointrend.lab.scenes import (
    draw_scene,
    draw_scene_things,
    scene_instances,
    write_instance_scenes,
    write_scenes,
)
from mmseg_pointrend.lab.scenes import instances as scenes_in_coco
from mmseg_pointrend.lab.scenes.canvas import LABEL_OF_SURFACE, Camera, Canvas, Surface
from mmseg_pointrend.lab.scenes.instances import CLASSES, draw_close_up

ROOT = Path(__file__).resolve().parents[3]
SMALL = dict(num_train=2, num_val=1, size=(64, 131), difficulty=0.5, seed=3, smallest=12, zoom=1)
LABELS = [int(LABEL_OF_SURFACE[surface]) for surface in CLASSES.values()]


@pytest.fixture(scope="module")
def six() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return [draw_scene_things(np.random.default_rng([0, index])) for index in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("scenes") / "coco"
    write_instance_scenes(root, **SMALL)
    return root


def files_of(root: Path) -> dict[str, bytes]:
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


# ---- one scene


def test_counting_things_changes_no_picture(six):
    for index, (picture, labels, things) in enumerate(six):
        same_picture, same_labels = draw_scene(np.random.default_rng([0, index]))
        np.testing.assert_array_equal(picture, same_picture)
        np.testing.assert_array_equal(labels, same_labels)
        assert things.shape == labels.shape and things.dtype == np.uint16


def test_a_thing_has_one_label(six):
    for _, labels, things in six:
        for number in np.unique(things)[1:]:
            (label,) = np.unique(labels[things == number])
            assert label in LABELS
        # People and cars belong to a thing, and wires, woods and houses to none.
        for surface in (Surface.PERSON, Surface.CAR, Surface.FENCE):
            assert (things[labels == surface] > 0).all()
        for surface in (Surface.ROAD, Surface.BUILDING, Surface.SKY):
            assert (things[labels == surface] == 0).all()


def test_things_are_told_apart_by_hand():
    camera = Camera(focal=30.0, center_x=15.0, horizon=15.0, height=0.0)
    canvas = Canvas((10, 10), camera, np.full(3, 200.0), 100.0, count_things=True)
    square = np.array([[-3.0, -3, 10], [3, -3, 10], [3, 3, 10], [-3, 3, 10]])
    canvas.thing = 7
    canvas.fill(square, np.zeros(3), Surface.CAR, 10.0)
    canvas.thing = 8
    canvas.fill(square + np.array([0.0, 3, 0]), np.zeros(3), Surface.PERSON, 10.0)
    # A shadow under a car is road, and no thing.
    canvas.fill(square - np.array([0.0, 5, 0]), np.zeros(3), Surface.ROAD, 10.0)
    column = canvas.things[1::3, 16].tolist()
    # Three canvas pixels, so one of the picture, to the metre; row 5 begins at the height 0.
    assert column == [8, 8, 8, 8, 8, 7, 7, 0, 0, 0]


def test_instances_are_the_things(six):
    _, labels, things = six[0]
    found = list(scene_instances(labels, things))
    numbers = np.unique(things)[1:]
    assert len(found) == len(numbers) > 10
    for number, instance in zip(numbers, found, strict=True):
        rows, columns = np.nonzero(things == number)
        assert instance.corner == (rows.min(), columns.min())
        np.testing.assert_array_equal(
            instance.mask,
            (things == number)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1],
        )
        assert instance.area == len(rows)
        assert LABELS[instance.category - 1] == labels[rows[0], columns[0]]


def test_a_scene_without_things_has_no_instances():
    nothing = np.zeros((5, 7), np.uint16)
    assert list(scene_instances(nothing.astype(np.uint8), nothing)) == []


def test_28x28_fails_on_large_and_thin_things(six):
    """The best mask of 28x28 for the box: what PointRend can win on these scenes."""
    scores: dict[int, list[float]] = {}
    overlaps = 0
    for _, labels, things in six:
        instances = [one for one in scene_instances(labels, things) if one.area >= 24]
        boxes = [(*one.corner, *np.add(one.corner, one.mask.shape)) for one in instances]
        overlaps += sum(
            min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])
            for place, a in enumerate(boxes)
            for b in boxes[:place]
        )
        for one in instances:
            if max(one.mask.shape) < 56:
                continue
            share = one.mask.astype(np.float32)
            coarse = cv2.resize(share, (28, 28), interpolation=cv2.INTER_AREA)
            again = cv2.resize(coarse, one.mask.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
            iou = (again & one.mask).sum() / (again | one.mask).sum()
            scores.setdefault(one.category, []).append(iou)
    assert overlaps > 60
    names = list(CLASSES)
    means = {names[category - 1]: np.mean(values) for category, values in scores.items()}
    assert means["fence"] < 0.75 and means["plant"] < 0.9
    assert means["car"] > 0.9, means


# ---- a folder of scenes


def test_layout_is_that_of_coco(folder):
    assert set(files_of(folder)) == {
        "train/000000.png",
        "train/000001.png",
        "val/000000.png",
        "annotations/instances_train.json",
        "annotations/instances_val.json",
        "scenes.json",
    }


def test_pictures_are_those_of_the_semantic_scenes(folder, tmp_path):
    write_scenes(
        tmp_path, **{key: value for key, value in SMALL.items() if key not in ("smallest", "zoom")}
    )
    for split, city, index in (("train", "demoburg", 1), ("val", "demoville", 0)):
        stem = f"{split}/{city}/{city}_{index:06d}_000000_leftImg8bit.png"
        ours = (folder / split / f"{index:06d}.png").read_bytes()
        assert ours == (tmp_path / "leftImg8bit" / stem).read_bytes()


@pytest.mark.parametrize("zoom", [1, 2, 3])
def test_a_close_up_is_a_window_of_a_larger_scene(zoom):
    size = (64, 131)
    parts = draw_close_up(np.random.default_rng(5), size, 0.5, zoom)
    large = draw_scene_things(np.random.default_rng(5), (zoom * 64, zoom * 131), 0.5)
    # Found by its picture, of which no two windows are alike.
    windows = np.lib.stride_tricks.sliding_window_view(large[0][..., 0], size)
    (place,) = np.argwhere((windows[:, :, ::9, ::9] == parts[0][::9, ::9, 0]).all((2, 3)))
    rows, columns = (slice(first, first + side) for first, side in zip(place, size, strict=True))
    for part, whole in zip(parts, large, strict=True):
        assert np.array_equal(part, whole[rows, columns])


def test_annotations_hold_the_things(folder):
    from pycocotools.coco import COCO

    content = json.loads((folder / "annotations" / "instances_train.json").read_text())
    assert [one["name"] for one in content["categories"]] == list(CLASSES)
    coco = COCO(folder / "annotations" / "instances_train.json")
    _, labels, things = draw_scene_things(np.random.default_rng([3, 0, 1]), (64, 131), 0.5)
    found = coco.loadAnns(coco.getAnnIds(imgIds=[2]))
    numbers = np.unique(things)[1:]
    assert len(found) == len(numbers)
    for number, annotation in zip(numbers, found, strict=True):
        mask = things == number
        np.testing.assert_array_equal(coco.annToMask(annotation), mask)
        rows, columns = np.nonzero(mask)
        left, top, width, height = annotation["bbox"]
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width - 1, top + height - 1) == (columns.max(), rows.max())
        assert annotation["area"] == mask.sum()
        assert annotation["iscrowd"] == (mask.sum() < 12)
    assert {one["iscrowd"] for one in found} == {0, 1}
    assert len({one["id"] for one in content["annotations"]}) == len(content["annotations"])


def test_equal_arguments_give_equal_files(folder, tmp_path):
    write_instance_scenes(tmp_path / "again", **SMALL)
    assert files_of(tmp_path / "again") == files_of(folder)
    write_instance_scenes(tmp_path / "other", **{**SMALL, "seed": 4})
    other = files_of(tmp_path / "other")
    assert not any(other[name] == content for name, content in files_of(folder).items())


def test_interrupted_run_is_finished(folder, tmp_path, monkeypatch):
    root, count = tmp_path / "stopped", 0

    def stop_at_the_third(*args):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return draw_scene_things(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(scenes_in_coco, "draw_scene_things", stop_at_the_third)
        write_instance_scenes(root, **SMALL)
    assert not (root / "scenes.json").exists()
    write_instance_scenes(root, **SMALL)
    assert files_of(root) == files_of(folder)
    # Finished, it is left alone.
    monkeypatch.setattr(scenes_in_coco, "draw_scene_things", None)
    write_instance_scenes(root, **SMALL)


def test_a_folder_of_other_scenes_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match=r"other arguments: smallest 12 \(asked: 5\)"):
        write_instance_scenes(folder, **{**SMALL, "smallest": 5})
    write_scenes(tmp_path, 0, 0)
    with pytest.raises(ValueError, match="other arguments: masks None"):
        write_instance_scenes(tmp_path, 0, 0)


@pytest.mark.parametrize(
    ("name", "value"), [("smallest", 0), ("smallest", 1.5), ("zoom", 0), ("num_val", -1)]
)
def test_bad_numbers_are_named(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*{value}"):
        write_instance_scenes(tmp_path / "new", **{**SMALL, name: value})
    assert not (tmp_path / "new").exists()


def test_mmdet_reads_them_by_the_shipped_config(folder):
    from mmdet.registry import DATASETS

    config = Config.fromfile(ROOT / "configs/_base_/datasets/demo_scenes_instance.py")
    assert config.classes == tuple(CLASSES)
    for split, count in (("train", 2), ("val", 1)):
        settings = config[f"{split}_dataloader"]["dataset"] | dict(data_root=str(folder))
        dataset = DATASETS.build(settings | dict(_scope_="mmdet"))
        assert len(dataset) == count
        sample = dataset[0]
        assert sample["inputs"].shape == (3, 64, 131)
    sample = DATASETS.build(
        config.train_dataloader.dataset | dict(data_root=str(folder), _scope_="mmdet")
    )[0]["data_samples"]
    content = json.loads((folder / "annotations" / "instances_train.json").read_text())
    first = [one for one in content["annotations"] if one["image_id"] == 1]
    kept = [one for one in first if not one["iscrowd"]]
    assert len(sample.gt_instances) == len(kept)
    assert len(sample.ignored_instances) == len(first) - len(kept)
    assert sorted(sample.gt_instances.masks.masks.sum((1, 2))) == sorted(
        one["area"] for one in kept
    )
