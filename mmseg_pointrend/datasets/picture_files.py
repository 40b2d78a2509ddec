"""What a picture's header says, so that a check need not decode the picture."""

import mmap
import os
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from PIL import ExifTags, Image

#: Modes of Pillow that hold more than 8 bits in a channel: 16 and 32 bits, and floats.
_WIDE_MODES = ("I", "F")
#: Formats whose orientation stands before the pixels; of a PNG, Pillow would decode everything.
_TAGGED_FORMATS = ("JPEG", "MPO", "TIFF", "WEBP")

_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


class Header(NamedTuple):
    """What a picture's header says.

    Attributes:
        shape: height and width in pixels, as they are stored.
        wide: whether a channel may have more than 8 bits.
        oriented: whether a tag tells to turn or to mirror the picture.
    """

    shape: tuple[int, int]
    wide: bool
    oriented: bool


def read_header(path: str, backend_args: dict | None = None) -> Header | None:
    """Read a picture's header, without decoding its pixels.

    Args:
        path: where the picture is.
        backend_args: mmengine's file backend, if `path` is no local file.

    Returns:
        the header, or None for a file that Pillow does not know.
    """
    try:
        source = BytesIO(fileio.get(path, backend_args)) if backend_args else path
        with Image.open(source) as picture:
            width, height = picture.size
            wide = picture.mode.partition(";")[0] in _WIDE_MODES
            tagged = "exif" in picture.info or picture.format in _TAGGED_FORMATS
            turn = picture.getexif().get(ExifTags.Base.Orientation, 1) if tagged else 1
    except Exception:  # whatever a file makes Pillow raise; who decodes it says what is wrong
        return None
    return Header((height, width), wide, turn != 1)


def picture_shape(loader: LoadImageFromFile, info: dict, expected: tuple[int, int]) -> tuple:
    """Find height and width that a picture has for a pipeline.

    The header decides if it agrees with what is expected. Otherwise, and if a tag tells to turn the
    picture, which some loaders do, it is read as the pipeline reads it.

    Args:
        loader: reads `info["img_path"]` into `img`.
        info: the data set's record of the picture.
        expected: height and width that it should have.

    Raises:
        ValueError: for a picture that cannot be read.
    """
    path = info["img_path"]
    header = read_header(path, loader.backend_args)
    if header is not None and header.shape == expected and not header.oriented:
        return expected
    try:
        return np.shape(loader(dict(info))["img"])[:2]
    except Exception as error:  # whatever the file makes the decoder raise
        raise ValueError(f"cannot read picture {path}: {error}") from error


def is_cut_off(path: str | Path) -> bool:
    """Whether a JPEG or PNG file lacks its end, as after a download that was broken off.

    A look at the last bytes is enough for most files; nothing is decoded. Of other formats nothing
    is said.

    Args:
        path: a local file.

    Raises:
        OSError: if it cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(len(_PNG_START))
        kind = _END_OF.get(start) or _END_OF.get(start[: len(_JPEG_START)])
        if kind is None:
            return False
        end, is_further_up = kind
        file.seek(-min(len(end), os.fstat(file.fileno()).st_size), os.SEEK_END)
        if file.read() == end:
            return False
        # Something may follow on the end.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return not is_further_up(data)


def _has_jpeg_end(data: mmap.mmap) -> bool:
    position = 2
    # Segments before the picture (a thumbnail has an end of its own): marker and length.
    while data[position : position + 1] == b"\xff":
        if data[position + 1 : position + 2] == b"\xda":  # start of scan
            return data.find(_JPEG_END, position) >= 0
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    # Cut off within the segments, or not laid out like this: for a decoder to judge.
    return position < len(data)


def _has_png_end(data: mmap.mmap) -> bool:
    position = len(_PNG_START)
    # Chunks: length, name, content, checksum.
    while position + 12 <= len(data):
        if data[position + 4 : position + 8] == _PNG_END[:4]:
            return True
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return False


_END_OF = {_PNG_START: (_PNG_END, _has_png_end), _JPEG_START: (_JPEG_END, _has_jpeg_end)}
