"""Files that are written for a picture: indices that every reader of palettes finds, and marks."""

from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
from PIL import Image

from mmseg_pointrend.inference.written import (
    check_inside,
    has_mark,
    write_confidence,
    write_labels,
    write_overlay,
)

PALETTE = [[200, 10, 30], [0, 255, 7], [1, 2, 3]]
MARK = "0123456789abcdef" * 2
LABELS = np.random.default_rng(0).integers(0, 3, (31, 47)).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_labels_are_written_bit_by_bit(tmp_path: Path, dtype: type) -> None:
    labels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (5, 9)).astype(dtype)
    path = tmp_path / "new" / "labels.png"
    write_labels(path, labels)
    for found in (cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.array(Image.open(path))):
        assert found.dtype == dtype and np.array_equal(found, labels)


def test_a_palette_leaves_the_indices_as_they_are(tmp_path: Path) -> None:
    """For Pillow, and for mmsegmentation, which loads labels by it; OpenCV gives colours."""
    path = tmp_path / "labels.png"
    write_labels(path, LABELS, PALETTE, MARK)
    with Image.open(path) as image:
        assert image.mode == "P" and np.array_equal(np.array(image), LABELS)
        assert np.array_equal(np.array(image.convert("RGB")), np.array(PALETTE)[LABELS])
    read = mmcv.imfrombytes(path.read_bytes(), flag="unchanged", backend="pillow")
    assert np.array_equal(read, LABELS)
    colors = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(colors[..., ::-1], np.array(PALETTE)[LABELS])


def test_files_of_16_bits_have_no_palette(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.png", LABELS.astype(np.uint16) * 300, [[0, 0, 0]] * 700)
    found = np.array(Image.open(tmp_path / "labels.png"))
    assert np.array_equal(found, LABELS.astype(np.uint16) * 300)


def test_marks(tmp_path: Path) -> None:
    """All kinds hold them; a file is as good without."""
    pixels = np.random.default_rng(0).integers(0, 256, (31, 47, 3)).astype(np.uint8)
    kinds = (
        ("palette.png", write_labels, (LABELS, PALETTE)),
        ("deep.png", write_labels, (LABELS.astype(np.uint16), None)),
        ("confidence.png", write_confidence, (LABELS,)),
        ("overlay.jpg", write_overlay, (pixels,)),
    )
    for name, write, arguments in kinds:
        write(tmp_path / name, *arguments)
        assert not has_mark(tmp_path / name, MARK)
        write(tmp_path / name, *arguments, mark=MARK)
        assert has_mark(tmp_path / name, MARK) and not has_mark(tmp_path / name, MARK[::-1])
        assert np.array(Image.open(tmp_path / name)).shape[:2] == (31, 47)
    assert not has_mark(tmp_path / "nowhere.png", MARK)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kind[0] for kind in kinds)


def test_overlays_are_the_pixels_nearly(tmp_path: Path) -> None:
    """Blue comes first."""
    pixels = np.zeros((32, 32, 3), np.uint8) + np.array([200, 100, 0], np.uint8)
    write_overlay(tmp_path / "a.jpg", pixels)
    found = np.array(Image.open(tmp_path / "a.jpg")).astype(int)
    assert np.abs(found - [0, 100, 200]).max() < 4
    with pytest.raises(ValueError, match="at most 65500 pixels a side, got 70000 x 1"):
        write_overlay(tmp_path / "b.jpg", np.zeros((1, 70000, 3), np.uint8))


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="out must end in .png, got .*labels.jpg"):
        write_labels(tmp_path / "labels.jpg", LABELS)
    (tmp_path / "labels.png").mkdir()
    with pytest.raises(OSError, match="labels.png"):
        write_labels(tmp_path / "labels.png", LABELS)


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    for folder in (out / "real", other):
        folder.mkdir(parents=True)
    (out / "inside").symlink_to(out / "real")
    (out / "outside").symlink_to(other)
    check_inside(out, out / "inside/a.png")
    check_inside(out, out / "not/yet/a.png")
    with pytest.raises(ValueError, match="would be written to .*other/a.png, outside of .*out"):
        check_inside(out, out / "outside/a.png")
