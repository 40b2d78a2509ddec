"""Image files as they come: grey, with alpha, turned, damaged, missing."""

from pathlib import Path

import mmcv
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from mmseg_pointrend.inference.reading import load_image

PIXELS = np.random.default_rng(0).integers(0, 256, (31, 47, 3)).astype(np.uint8)


def read_image(path: Path) -> np.ndarray:
    return load_image([dict(type=LoadImageFromFile)], path)["img"]


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_colors_are_those_of_the_file_blue_first(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", PIXELS)
    assert np.array_equal(read_image(path), PIXELS[..., ::-1])


def test_grey_alpha_and_sixteen_bits_become_color(tmp_path: Path) -> None:
    grey = read_image(save(tmp_path / "grey.png", PIXELS[..., 0]))
    assert np.array_equal(grey, np.repeat(PIXELS[..., :1], 3, 2))
    alpha = read_image(save(tmp_path / "alpha.png", np.dstack([PIXELS, PIXELS[..., 0]])))
    assert np.array_equal(alpha, PIXELS[..., ::-1])
    deep = read_image(save(tmp_path / "deep.png", PIXELS[..., 0].astype(np.uint16) * 257))
    assert np.array_equal(deep, grey)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_in_training(tmp_path: Path, orientation: int) -> None:
    """By the EXIF tag, as mmcv does it when mmsegmentation loads a training image."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.jpg", PIXELS, exif=exif)
    found = read_image(path)
    assert found.shape == ((31, 47, 3) if orientation < 5 else (47, 31, 3))
    assert np.array_equal(found, mmcv.imfrombytes(path.read_bytes()))


@pytest.mark.parametrize("options", [{}, dict(progressive=True)], ids=["baseline", "progressive"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.99])
def test_a_jpeg_cut_off_is_refused(tmp_path: Path, kept: float, options: dict) -> None:
    """OpenCV alone would fill the rest with grey; a thumbnail's end is not the picture's."""
    thumbnail = save(tmp_path / "thumbnail.jpg", PIXELS).read_bytes()
    path = save(tmp_path / "a.jpg", PIXELS, exif=b"Exif\0\0" + thumbnail, **options)
    assert read_image(path).shape == PIXELS.shape
    content = path.read_bytes()
    path.write_bytes(content + b"something that a camera appends")
    assert read_image(path).shape == PIXELS.shape
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match=f"image {path} is damaged"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"image {path} is damaged(: its end|, or of a f)"):
        read_image(path)


def test_a_png_cut_off_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", PIXELS)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="is damaged"):
        read_image(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.png", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"image {path} does not exist"):
            read_image(path)
