"""The classes' colours painted over a picture."""

from collections.abc import Sequence

import cv2
import numpy as np

#: How much of a painted pixel is the class's colour.
_OPACITY = 0.5


def paint(pixels: np.ndarray, labels: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Paint labels over a picture.

    Args:
        pixels: (H, W), (H, W, 1) or (H, W, C), blue first, as a picture is loaded; values of more
            than 8 bits are shown from the smallest to the largest. With more than three channels
            the first three are shown. Resized to the labels if it has another size.
        labels: (H', W'): class indices; one without a colour, as an ignored one, is not painted.
        palette: the classes' colours, (R, G, B) from 0 to 255.

    Returns:
        (H', W', 3), uint8, blue first.
    """
    picture = as_color(pixels)
    height, width = labels.shape
    if picture.shape[:2] != (height, width):
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    colors = np.asarray(palette, np.uint8)[:, ::-1]
    highest = int(labels.max())
    if highest < len(colors):
        return cv2.addWeighted(picture, 1 - _OPACITY, _colors_of(labels, colors), _OPACITY, 0)
    known = labels < len(colors)
    found = _colors_of(np.where(known, labels, 0), colors)
    painted = cv2.addWeighted(picture, 1 - _OPACITY, found, _OPACITY, 0)
    return np.where(known[..., None], painted, picture)


def _colors_of(labels: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Look up (H, W, 3) colours; by OpenCV where it can, which is several times as fast."""
    if len(colors) > 256:
        return colors[labels]
    table = np.zeros((1, 256, 3), np.uint8)
    table[0, : len(colors)] = colors
    indices = labels.astype(np.uint8, copy=False)
    return cv2.LUT(cv2.merge([indices] * 3), table)


def as_color(pixels: np.ndarray) -> np.ndarray:
    """Turn a picture of any depth and number of channels into (H, W, 3), uint8."""
    pixels = np.atleast_3d(pixels)[..., :3]
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        values = (pixels.astype(np.float32) - low) * (255 / max(high - low, 1e-12))
        pixels = values.round().astype(np.uint8)
    # Two channels: the third is dark.
    return np.ascontiguousarray(
        np.repeat(pixels, 3, 2)
        if pixels.shape[2] == 1
        else np.pad(pixels, ((0, 0), (0, 0), (0, 3 - pixels.shape[2])))
        if pixels.shape[2] == 2
        else pixels
    )
