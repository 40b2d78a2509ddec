"""The generated scenes: what is drawn, what is written, and what mmseg reads back."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose, LoadImageFromFile
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs
from mmseg.registry import DATASETS

from mmseg_pointrend.datasets import DemoScenesDataset
from mmseg_pointrend.datasets.demo_scenes import CLASSES, PALETTE
from mmseg_pointrend.lab.scenes import draw_scene, write_scenes
from mmseg_pointrend.lab.scenes import folder as scene_folder
from mmseg_pointrend.lab.scenes.canvas import Camera, Canvas, Surface
from mmseg_pointrend.lab.scenes.drawing import IGNORE

SMALL = dict(num_train=2, num_val=1, size=(64, 131), difficulty=0.5, seed=3)


def scene(index: int = 0, size: tuple[int, int] = (192, 384), difficulty: float = 0.5):
    return draw_scene(np.random.default_rng([0, index]), size, difficulty)


@pytest.fixture(scope="module")
def twelve() -> list[tuple[np.ndarray, np.ndarray]]:
    return [scene(index) for index in range(12)]


def files_of(root: Path) -> dict[str, bytes]:
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def runs_through(mask: np.ndarray) -> np.ndarray:
    """At each pixel of a mask the length of the horizontal run of pixels that it is part of."""
    lengths = np.zeros(mask.shape, int)
    for row, out in zip(mask, lengths, strict=True):
        steps = np.diff(np.concatenate([[0], row.astype(int), [0]]))
        ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
        for start, stop in zip(*ends, strict=True):
            out[start:stop] = stop - start
    return lengths


# ---- one scene


@pytest.mark.parametrize("size", [(192, 384), (64, 64), (67, 131), (197, 203)])
@pytest.mark.parametrize("difficulty", [0, 0.5, 1])
def test_size_type_and_range(size, difficulty):
    image, labels = scene(1, size, difficulty)
    assert image.shape == (*size, 3) and image.dtype == np.uint8
    assert labels.shape == size and labels.dtype == np.uint8
    assert set(np.unique(labels)) <= {*range(len(CLASSES)), IGNORE}
    # a picture, not a flat or clipped field
    assert image.std() > 15
    assert np.mean((image == 0) | (image == 255)) < 0.2


def test_equal_generators_draw_equal_scenes_and_others_do_not():
    first, again, other = scene(4), scene(4), scene(5)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.mean(first[1] != other[1]) > 0.1


def test_larger_picture_shows_the_same_street():
    _, small = scene(2, (192, 384))
    _, large = scene(2, (384, 768))
    # Pixel i of the small grid spans pixels 2i and 2i + 1 of the large one.
    agree = (large[::2, ::2] == small) | (large[1::2, 1::2] == small)
    assert agree.mean() > 0.95


def test_every_class_occurs_in_most_scenes(twelve):
    labels = np.stack([pair[1] for pair in twelve])
    for index, name in enumerate(CLASSES):
        scenes_with = np.mean([np.count_nonzero(one == index) >= 20 for one in labels])
        assert scenes_with >= 0.75, name
    assert np.mean([(one == IGNORE).any() for one in labels]) >= 0.75
    assert 0.01 < np.mean(labels == IGNORE) < 0.12


@pytest.mark.parametrize("name", ["fence", "pole"])
def test_thin_classes_are_thin_and_not_rare(twelve, name):
    masks = np.stack([pair[1] for pair in twelve]) == CLASSES.index(name)
    assert 0.01 < masks.mean() < 0.08
    across = [np.minimum(runs_through(m), runs_through(m.T).T)[m] for m in masks]
    assert np.median(np.concatenate(across)) < 4


def test_a_quarter_of_the_resolution_loses_the_thin_classes(twelve):
    """Labels that went through a stride-4 map lose thin things, and keep the large ones."""
    lost = {}
    labels = np.stack([pair[1] for pair in twelve])
    counts = np.stack([labels == index for index in range(len(CLASSES))]).astype(int)
    blocks = counts.reshape(len(CLASSES), len(labels), 48, 4, 96, 4).sum((3, 5))
    coarse = blocks.argmax(0).repeat(4, axis=1).repeat(4, axis=2)
    for index, name in enumerate(CLASSES):
        valid = labels != IGNORE
        both = np.count_nonzero((labels == index) & (coarse == index) & valid)
        either = np.count_nonzero(((labels == index) | (coarse == index)) & valid)
        lost[name] = 1 - both / either
    assert 0.3 < lost["pole"] < 0.8
    assert 0.2 < lost["fence"] < 0.8
    assert lost["road"] < 0.06


def test_color_alone_does_not_give_the_class_away(twelve):
    """The class of the nearest mean colour, on the scenes that the means come from."""
    colors = np.concatenate([image.reshape(-1, 3) for image, _ in twelve]).astype(float)
    labels = np.concatenate([label.ravel() for _, label in twelve])
    colors, labels = colors[::7], labels[::7]
    means = np.stack([colors[labels == index].mean(0) for index in range(len(CLASSES))])
    guess = ((colors[:, None] - means) ** 2).sum(-1).argmin(1)
    valid = labels != IGNORE
    ious = [
        np.count_nonzero((guess == index) & (labels == index))
        / np.count_nonzero(((guess == index) | (labels == index)) & valid)
        for index in range(len(CLASSES))
    ]
    assert np.mean(ious) < 0.35


def test_difficulty_adds_noise():
    """Noise: what differs between neighbours inside the sky."""

    def noise(difficulty: float) -> float:
        image, labels = scene(3, difficulty=difficulty)
        image = image.astype(float)
        inside = cv2.erode((labels == Surface.SKY).astype(np.uint8), np.ones((5, 5))) > 0
        return float(np.abs(np.diff(image, axis=1))[inside[:, 1:]].mean())

    assert noise(0.0) < noise(0.5) < noise(1.0)


@pytest.mark.parametrize("size", [(63, 128), (192,), (192.0, 384), (True, 384), "192", None])
def test_bad_size_is_named(size):
    with pytest.raises(ValueError, match=r"size must be \(height, width\).*at least 64") as caught:
        draw_scene(np.random.default_rng(0), size)
    assert repr(size) in str(caught.value)


@pytest.mark.parametrize("difficulty", [-0.1, 1.5, float("nan"), "hard", None])
def test_bad_difficulty_is_named(difficulty):
    with pytest.raises(ValueError, match="difficulty must be a number from 0 to 1") as caught:
        draw_scene(np.random.default_rng(0), difficulty=difficulty)
    assert repr(difficulty) in str(caught.value)


def test_a_seed_is_not_a_generator():
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator, got int"):
        draw_scene(0)


# ---- camera and canvas, by hand


def test_camera_projects_by_hand():
    camera = Camera(focal=100.0, center_x=50.0, horizon=40.0, height=1.5)
    points = np.array([[0.0, 1.5, 10.0], [2.0, 0.0, 10.0], [-1.0, 2.5, 5.0], [1.0, 1.5, 0.1]])
    # the last lies nearer than one metre and is seen as if it were there
    expected = [[50, 40], [70, 55], [30, 20], [150, 40]]
    np.testing.assert_allclose(camera.project(points), expected)


def test_camera_bends_and_rolls():
    camera = Camera(100.0, 50.0, 40.0, 1.5, bend=0.001, heading=0.1, roll=0.02)
    # across = 0.1 + 0.001 * 20, down = 1.5 / 20
    expected = [50 + 100 * (0.12 - 0.02 * 0.075), 40 + 100 * (0.075 + 0.02 * 0.12)]
    np.testing.assert_allclose(camera.project(np.array([0.0, 0.0, 20.0])), expected)


def test_strokes_never_fall_below_a_picture_pixel():
    camera = Camera(focal=300.0, center_x=150.0, horizon=150.0, height=0.0)
    canvas = Canvas((100, 100), camera, haze=np.full(3, 200.0), visibility=300.0)
    line = np.array([[-40.0, 3.0, 90.0], [40.0, -5.0, 90.0]])
    canvas.stroke(line, 0.001, np.zeros(3), Surface.POLE, z=90.0)
    labels = canvas.pixels[1::3, 1::3, 3]
    columns = np.flatnonzero((labels == Surface.POLE).any(0))
    # no gap in the wire, in any column that it crosses
    np.testing.assert_array_equal(columns, np.arange(columns[0], columns[-1] + 1))
    assert len(columns) > 80


def test_haze_is_the_share_that_its_distance_asks_for():
    camera = Camera(focal=300.0, center_x=150.0, horizon=150.0, height=0.0)
    canvas = Canvas((100, 100), camera, haze=np.full(3, 200.0), visibility=100.0)
    square = np.array([[-9.0, -9, 100], [9, -9, 100], [9, 9, 100], [-9, 9, 100]])
    canvas.fill(square, np.array([0.0, 100.0, 200.0]), Surface.CAR, z=100.0)
    # exp(-1) of the colour, the rest haze
    expected = [200 - 200 / np.e, 200 - 100 / np.e, 200, Surface.CAR]
    np.testing.assert_allclose(canvas.pixels[150, 150], expected, atol=1)


# ---- a folder of scenes


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("scenes") / "demo"
    write_scenes(root, **SMALL)
    return root


def test_layout_is_that_of_cityscapes(folder):
    stems = ["train/demoburg/demoburg_000000_000000", "train/demoburg/demoburg_000001_000000",
             "val/demoville/demoville_000000_000000"]  # fmt: skip
    expected = {f"leftImg8bit/{stem}_leftImg8bit.png" for stem in stems}
    expected |= {f"gtFine/{stem}_gtFine_labelTrainIds.png" for stem in stems}
    assert set(files_of(folder)) == expected | {"scenes.json"}


def test_files_hold_the_drawn_scene(folder):
    image, labels = draw_scene(np.random.default_rng([3, 0, 1]), (64, 131), 0.5)
    stem = "train/demoburg/demoburg_000001_000000"
    read = cv2.imread(str(folder / f"leftImg8bit/{stem}_leftImg8bit.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read[..., ::-1], image)
    read = cv2.imread(str(folder / f"gtFine/{stem}_gtFine_labelTrainIds.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, labels)


def test_more_scenes_leave_the_others_as_they_are(folder, tmp_path):
    write_scenes(tmp_path / "more", **{**SMALL, "num_train": 3, "num_val": 2})
    fewer, more = files_of(folder), files_of(tmp_path / "more")
    assert len(more) == len(fewer) + 4
    pictures = fewer.keys() - {"scenes.json"}
    assert {name: more[name] for name in pictures} == {name: fewer[name] for name in pictures}
    # no scene occurs twice, in one split or in both
    assert len({more[name] for name in more if "leftImg8bit" in name}) == 5


def test_seed_changes_the_scenes(folder, tmp_path):
    write_scenes(tmp_path / "other", **{**SMALL, "seed": 4})
    other = files_of(tmp_path / "other")
    assert not any(other[name] == content for name, content in files_of(folder).items())


def test_interrupted_run_is_finished(folder, tmp_path, monkeypatch):
    root = tmp_path / "stopped"
    count = 0

    def stop_at_the_third(*args):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return draw_scene(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(scene_folder, "draw_scene", stop_at_the_third)
        write_scenes(root, **SMALL)
    assert not (root / "scenes.json").exists()
    with pytest.raises(ValueError, match="other arguments: seed 3 "):
        write_scenes(root, **{**SMALL, "seed": 9})
    write_scenes(root, **SMALL)
    assert files_of(root) == files_of(folder)


def test_deleted_files_are_written_again_and_only_those(folder, tmp_path):
    root = tmp_path / "holes"
    write_scenes(root, **SMALL)
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("*.*")}
    gone = [next((root / name).rglob("*.png")) for name in ("leftImg8bit/train", "gtFine/val")]
    for path in gone:
        path.unlink()
    write_scenes(root, **SMALL)
    assert files_of(root) == files_of(folder)
    # the partner of a lost file is drawn with it; all others are left alone
    kept = [path for path, stamp in stamps.items() if path.stat().st_mtime_ns == stamp]
    assert len(kept) == len(stamps) - 4


def test_finished_folder_is_left_alone(folder, monkeypatch):
    def never(*args):
        raise AssertionError("a finished scene was drawn again")

    monkeypatch.setattr(scene_folder, "draw_scene", never)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    write_scenes(folder, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")} == before


def test_folder_made_with_other_arguments_is_refused(folder):
    before = files_of(folder)
    with pytest.raises(ValueError, match="other arguments") as caught:
        write_scenes(folder, **{**SMALL, "difficulty": 0.7, "num_val": 5})
    message = str(caught.value)
    assert str(folder) in message and "another folder" in message
    assert "difficulty 0.5 (asked: 0.7)" in message and "num_val 1 (asked: 5)" in message
    assert files_of(folder) == before


@pytest.mark.parametrize("content", ["{", "[]", "null", None])
def test_foreign_folder_is_refused(tmp_path, content):
    name = "thesis.txt" if content is None else "scenes.json"
    (tmp_path / name).write_text(content or "do not lose me")
    before = files_of(tmp_path)
    with pytest.raises(ValueError, match="another folder, or delete this one") as caught:
        write_scenes(tmp_path, **SMALL)
    assert str(tmp_path) in str(caught.value)
    assert files_of(tmp_path) == before


def test_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "demo").write_text("")
    with pytest.raises(ValueError, match="is a file; give another folder"):
        write_scenes(tmp_path / "demo", **SMALL)


@pytest.mark.parametrize("name", ["num_train", "num_val", "seed"])
@pytest.mark.parametrize("value", [-1, 2.5, True, "3", None])
def test_bad_numbers_are_named(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number, 0 or more") as caught:
        write_scenes(tmp_path / "new", **{**SMALL, name: value})
    assert repr(value) in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_empty_split_and_existing_empty_folder(tmp_path):
    write_scenes(str(tmp_path), **{**SMALL, "num_train": 0})
    assert len(files_of(tmp_path)) == 3


# ---- the dataset


@pytest.mark.parametrize(("split", "count"), [("train", 2), ("val", 1)])
def test_dataset_reads_what_was_written(folder, split, count):
    dataset = DATASETS.build(
        dict(
            type="DemoScenesDataset",
            data_root=str(folder),
            data_prefix=dict(img_path=f"leftImg8bit/{split}", seg_map_path=f"gtFine/{split}"),
            pipeline=[],
            test_mode=split == "val",
        )
    )
    assert isinstance(dataset, DemoScenesDataset) and len(dataset) == count
    assert dataset.metainfo["classes"] == CLASSES
    assert dataset.metainfo["palette"] == [list(color) for color in PALETTE]
    pipeline = Compose([LoadImageFromFile(), LoadAnnotations(), PackSegInputs()])
    for index in range(count):
        packed = pipeline(dataset.get_data_info(index))
        number = ["train", "val"].index(split)
        image, labels = draw_scene(np.random.default_rng([3, number, index]), (64, 131), 0.5)
        read = packed["inputs"].numpy().transpose(1, 2, 0)
        np.testing.assert_array_equal(read, image[..., ::-1])  # mmseg reads BGR
        np.testing.assert_array_equal(packed["data_samples"].gt_sem_seg.data[0].numpy(), labels)
