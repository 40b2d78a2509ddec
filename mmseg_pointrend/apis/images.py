"""Image files: read whole or not at all, and label maps written."""

import mmap
from pathlib import Path

import cv2
import numpy as np


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file the way mmsegmentation's `LoadImageFromFile` does.

    Turned as its EXIF tag says; grey images and images with an alpha channel, or with 16 bits a
    channel, become 8-bit colour.

    Args:
        path: any format that OpenCV reads, of at most 2^30 pixels (OPENCV_IO_MAX_IMAGE_PIXELS).

    Returns:
        (H, W, 3), uint8, blue first.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not an image, is damaged, or is too large for OpenCV.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"image {path} does not exist")
    if _is_jpeg_without_end(path):
        raise ValueError(f"image {path} is damaged: its end is missing")
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f"image {path} cannot be read by OpenCV: {error.err}") from error
    if image is None:
        raise ValueError(f"image {path} is damaged, or of a format that OpenCV does not read")
    return image


def write_labels(path: str | Path, labels: np.ndarray) -> None:
    """Write a label map as a grey PNG of 8 or 16 bits; missing folders are made.

    Args:
        path: ends in .png.
        labels: (H, W), uint8 or uint16.

    Raises:
        ValueError: for another ending, or if the file cannot be written.
    """
    check_labels_path(path)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), labels):
        raise ValueError(f"out {path} cannot be written")


def check_labels_path(path: str | Path) -> None:
    """Raise ValueError if `write_labels` could not take this path."""
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"out must end in .png, got {path}")


def _is_jpeg_without_end(path: Path) -> bool:
    """Whether a JPEG file was cut off: OpenCV would fill what is missing with grey."""
    with path.open("rb") as file:
        if file.read(3) != b"\xff\xd8\xff":
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            position = 2
            # Segments before the picture (a thumbnail has an end of its own): marker and length.
            while data[position : position + 1] == b"\xff":
                if data[position + 1 : position + 2] == b"\xda":  # start of scan
                    return data.find(b"\xff\xd9", position) < 0
                position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False  # not laid out like this: for OpenCV to judge
