"""Label maps that cannot be trained on are named, with what is wrong; all others pass."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_pointrend.datasets.label_maps import (
    describe_absent,
    inspect_label_maps,
    label_map_check,
)
from mmseg_pointrend.datasets.picture_files import read_header

LABELS = np.arange(35, dtype=np.uint8).reshape(5, 7) % 3
ORIENTATION = 274


def build(root: Path, label_suffix: str = ".png", loader: dict | None = None, **settings):
    init_default_scope("mmseg")
    return DATASETS.build(
        dict(
            type="BaseSegDataset",
            data_prefix=dict(img_path=str(root / "images"), seg_map_path=str(root / "labels")),
            seg_map_suffix=label_suffix,
            metainfo=dict(classes=("a", "b", "c")),
            pipeline=[
                dict(type="LoadImageFromFile", **(loader or {})),
                dict(type="LoadAnnotations"),
            ],
            **settings,
        )
    )


def write(root: Path, labels: Image.Image, label_suffix: str = ".png", turn: int = 1) -> None:
    """Write a picture of 7 x 5 pixels (width x height), perhaps with a tag, and a label map."""
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    tags = Image.Exif()
    tags[ORIENTATION] = turn
    Image.new("RGB", (7, 5)).save(root / "images/one.jpg", exif=tags)
    labels.save(root / f"labels/one{label_suffix}")


def inspect(dataset) -> tuple[set[int], str | None]:
    return inspect_label_maps(dataset, label_map_check(dataset, 3), [0], progress=False)


@pytest.mark.parametrize("shape", [(10, 14), (3, 4), (7, 5), (5, 8)])
def test_another_size_is_named(tmp_path: Path, shape: tuple[int, int]) -> None:
    write(tmp_path, Image.fromarray(np.zeros(shape, np.uint8)))
    _, fault = inspect(build(tmp_path))
    height, width = shape
    assert fault == (
        f"label map {tmp_path}/labels/one.png has {width} x {height} pixels, but its picture "
        f"{tmp_path}/images/one.jpg has 7 x 5 (width x height); both must be the same"
    )


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("color_type", ["color", "unchanged", "color_ignore_orientation"])
def test_a_tag_turns_the_picture_only_for_loaders_that_heed_it(
    tmp_path: Path, turn: int, color_type: str
) -> None:
    """Of the eight orientations those from 5 on exchange height and width."""
    write(tmp_path, Image.fromarray(LABELS), turn=turn)
    _, fault = inspect(build(tmp_path, loader=dict(color_type=color_type)))
    if turn < 5 or color_type != "color":
        assert fault is None
    else:
        assert "one.png has 7 x 5 pixels" in fault and "one.jpg has 5 x 7" in fault
        assert "turn the label map, too" in fault


def test_a_label_map_turned_as_its_picture_passes(tmp_path: Path) -> None:
    write(tmp_path, Image.fromarray(LABELS.T.copy()), turn=6)
    assert inspect(build(tmp_path)) == ({0, 1, 2}, None)


def test_pictures_are_not_decoded(tmp_path: Path) -> None:
    """The header of a picture whose pixels are missing is read all the same."""
    write(tmp_path, Image.fromarray(LABELS))
    noise = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
    path = tmp_path / "images/two.png"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:100])
    assert read_header(str(path)) == ((300, 500), False, False)


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, Image.fromarray(LABELS))
    (tmp_path / "images/one.jpg").write_bytes(b"no picture")
    _, fault = inspect(build(tmp_path))
    assert fault.startswith(f"cannot read picture {tmp_path}/images/one.jpg: ")


def test_16_bits_are_refused(tmp_path: Path) -> None:
    """class * 256 + instance: the low bytes 0, 1, 2 would pass for classes."""
    instances = LABELS.astype(np.uint16) + 256 * np.arange(5, dtype=np.uint16)[:, None]
    write(tmp_path, Image.fromarray(instances))
    _, fault = inspect(build(tmp_path))
    assert fault.startswith(
        f"label map {tmp_path}/labels/one.png holds uint16 values from 0 to 1026, of which"
    )


@pytest.mark.parametrize("value", [-1.0, 0.5, 256.0, float("nan")])
def test_floats_that_are_no_byte_are_refused(tmp_path: Path, value: float) -> None:
    labels = LABELS.astype(np.float32)
    labels[1, 2] = value
    write(tmp_path, Image.fromarray(labels), ".tif")
    _, fault = inspect(build(tmp_path, ".tif"))
    assert "holds float32 values" in fault


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        (np.uint8, ".png"), (np.uint8, ".bmp"), (np.uint8, ".gif"), (np.uint16, ".png"),
        (np.int32, ".tif"), (np.float32, ".tif"), (bool, ".png"),
    ],
)  # fmt: skip
def test_whatever_holds_class_indices_passes(tmp_path: Path, kind: type, suffix: str) -> None:
    write(tmp_path, Image.fromarray(LABELS.astype(kind)), suffix)
    assert inspect(build(tmp_path, suffix)) == ({0, 1} if kind is bool else {0, 1, 2}, None)


@pytest.mark.parametrize("shape", [(1, 7), (5, 1), (1, 1)])
def test_one_pixel_high_or_wide_is_not_called_colors(tmp_path: Path, shape: tuple) -> None:
    write(tmp_path, Image.fromarray(np.zeros(shape, np.uint8)))
    _, fault = inspect(build(tmp_path))
    assert f"{tmp_path}/labels/one.png is one pixel high or wide" in fault
    assert "colours" not in fault


def test_absent_classes_are_explained_by_what_the_data_set_does(tmp_path: Path) -> None:
    write(tmp_path, Image.fromarray(np.minimum(LABELS, 1)))
    reduced = build(tmp_path, reduce_zero_label=True)
    seen, fault = inspect(reduced)
    assert (seen, fault) == ({0, 255}, None)
    assert "leave it out if 0 is a class" in describe_absent(seen, reduced, 3)
    assert "write the second class as 1" in describe_absent(seen, build(tmp_path), 3)
    other = build(tmp_path, ignore_index=7)
    assert "never sees" in describe_absent(seen, other, 3)
