"""Image files found damaged before they are read, and label maps written."""

from pathlib import Path

import cv2
import numpy as np

from mmseg_pointrend.datasets.picture_files import is_cut_off


def check_image(path: str | Path) -> None:
    """Find what a decoder would pass over without a word: a missing file, one without its end.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is a JPEG or PNG that was cut off.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"image {path} does not exist")
    if is_cut_off(path):
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
