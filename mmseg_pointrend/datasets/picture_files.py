"""What a picture's header says, so that a check need not decode the picture."""

from io import BytesIO
from typing import NamedTuple

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from PIL import ExifTags, Image

#: Modes of Pillow that hold more than 8 bits in a channel: 16 and 32 bits, and floats.
_WIDE_MODES = ("I", "F")
#: Formats whose orientation stands before the pixels; of a PNG, Pillow would decode everything.
_TAGGED_FORMATS = ("JPEG", "MPO", "TIFF", "WEBP")


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
