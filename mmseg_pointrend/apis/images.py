"""Image files found damaged before they are read, and label maps written."""

import mmap
from pathlib import Path

import cv2
import numpy as np


def check_image(path: str | Path) -> None:
    """Find what a decoder would pass over without a word: a missing file, a JPEG without its end.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is a JPEG that was cut off.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"image {path} does not exist")
    if _is_jpeg_without_end(path):
        raise ValueError(f"image {path} is damaged: its end is missing")


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
