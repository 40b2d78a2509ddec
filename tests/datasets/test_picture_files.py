"""Files that lack their end are told from whole ones, without decoding them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmseg_pointrend.datasets.picture_files import is_cut_off


def picture(side: int = 40) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side + 7, 3), np.uint8)
    return Image.fromarray(pixels)


def save(folder: Path, name: str, **options) -> Path:
    path = folder / name
    picture().save(path, **options)
    return path


def exif_with_thumbnail() -> bytes:
    """An EXIF block in which lies a JPEG with an end of its own."""
    return b"Exif\x00\x00" + b"\xff\xd8\xff\xdb thumbnail \xff\xd9"


FORMATS = {
    "a.jpg": {},
    "progressive.jpg": dict(progressive=True),
    "thumbnail.jpg": dict(exif=exif_with_thumbnail()),
    "a.png": {},
}


@pytest.mark.parametrize("name", FORMATS)
def test_whole_files_and_every_kind_of_beginning(tmp_path: Path, name: str) -> None:
    path = save(tmp_path, name, **FORMATS[name])
    content = path.read_bytes()
    assert not is_cut_off(path)
    path.write_bytes(content + b"\0 and what a camera appends")
    assert not is_cut_off(path)
    for share in (0.02, 0.3, 0.5, 0.9, 0.999):
        path.write_bytes(content[: max(9, int(share * len(content)))])
        assert is_cut_off(path), share


@given(content=st.binary(max_size=60))
@settings(max_examples=200)
@pytest.mark.parametrize("start", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_any_bytes_have_an_answer(tmp_path_factory, start: bytes, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "anything"
    path.write_bytes(start + content)
    assert is_cut_off(path) in (True, False)


def test_other_formats_are_not_judged(tmp_path: Path) -> None:
    path = save(tmp_path, "a.bmp")
    path.write_bytes(path.read_bytes()[:50])
    assert not is_cut_off(path)
