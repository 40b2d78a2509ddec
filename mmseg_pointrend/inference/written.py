"""Label maps, confidences and overlays as files: PNG and JPEG, written whole, marked if asked."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmseg_pointrend.compat.whole_files import whole_file

#: Under this key a PNG holds its mark.
MARK_KEY = "mmseg_pointrend"
#: zlib's fastest level: label maps shrink to a few percent at any level.
_COMPRESSION = 1
_JPEG_QUALITY = 90
#: What the format allows.
_JPEG_SIDE = 65500
#: Bytes within which a mark stands: before the pixels, after at most a palette.
_HEAD = 2048


def check_labels_path(path: str | Path) -> None:
    """Raise ValueError if `write_labels` could not take this path."""
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"out must end in .png, got {path}")


def label_dtype(num_classes: int) -> type[np.integer]:
    """Tell the type of label maps: 8 bits, or 16 for more than 256 classes."""
    return np.uint8 if num_classes <= 256 else np.uint16


def write_labels(
    path: str | Path,
    labels: np.ndarray,
    palette: Sequence[Sequence[int]] | None = None,
    mark: str | None = None,
) -> None:
    """Write a label map as a PNG of 8 or 16 bits, whole or not at all; missing folders are made.

    Args:
        path: ends in .png.
        labels: (H, W), uint8 or uint16: class indices.
        palette: the classes' colours, (R, G, B) from 0 to 255. 8-bit files hold it beside the
            indices: viewers show colours, Pillow (and mmsegmentation) read indices, OpenCV reads
            colours. Without, files are grey.
        mark: ASCII text that the file holds besides, for `has_mark`.

    Raises:
        ValueError: for another ending.
        OSError: if the file cannot be written.
    """
    check_labels_path(path)
    image = Image.fromarray(labels)
    if palette is not None and labels.dtype == np.uint8:
        colors = np.zeros((256, 3), np.uint8)
        colors[: len(palette)] = palette
        image.putpalette(colors.tobytes())
    _write(path, image, mark)


def write_confidence(path: str | Path, confidence: np.ndarray, mark: str | None = None) -> None:
    """Write (H, W) uint8 confidences as a grey PNG, as `write_labels` does."""
    check_labels_path(path)
    _write(path, Image.fromarray(confidence), mark)


def write_overlay(path: str | Path, pixels: np.ndarray, mark: str | None = None) -> None:
    """Write (H, W, 3) uint8 pixels, blue first, as a JPEG, whole or not at all.

    Raises:
        ValueError: for a picture that is too large for a JPEG.
        OSError: if the file cannot be written.
    """
    if max(pixels.shape[:2]) > _JPEG_SIDE:
        raise ValueError(
            f"an overlay has at most {_JPEG_SIDE} pixels a side, got {pixels.shape[1]} x "
            f"{pixels.shape[0]}: leave overlays out"
        )
    image = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
    _write(path, image, mark, format="JPEG", quality=_JPEG_QUALITY)


def has_mark(path: str | Path, mark: str) -> bool:
    """Whether a file is there and was written with this mark, which stands at its beginning."""
    try:
        with open(path, "rb") as file:
            return mark.encode("ascii") in file.read(_HEAD)
    except OSError:
        return False


def check_inside(folder: str | Path, path: str | Path) -> None:
    """Raise ValueError if links lead a path out of the folder that it seems to lie in."""
    real, root = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath([real, root]) != root:
        raise ValueError(f"{path} would be written to {real}, outside of {folder}: remove the link")


def _write(
    path: str | Path, image: Image.Image, mark: str | None, format: str = "PNG", **options: int
) -> None:
    if format == "PNG":
        options |= dict(compress_level=_COMPRESSION)
        if mark is not None:
            info = PngInfo()
            info.add_text(MARK_KEY, mark)
            options |= dict(pnginfo=info)
    elif mark is not None:
        options |= dict(comment=mark.encode("ascii"))
    # Encoded first: the encoder seeks, and a full disk is met in one place.
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    with whole_file(path) as file:
        file.write(buffer.getbuffer())
