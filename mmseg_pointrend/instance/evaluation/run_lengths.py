"""Masks as run lengths: encoded and looked at by their boxes, not by whole pictures.

Convention: pycocotools' run lengths go down the columns, and begin with a run of zeros.
"""

from typing import NamedTuple

import numpy as np
import torch
from pycocotools import mask as mask_tools
from torch import Tensor

from mmseg_pointrend.evaluation.functional import mask_boundary

RLE = dict  # size: [H, W], counts: bytes


class CroppedMask(NamedTuple):
    """A mask within its box.

    Args:
        top: row of the box's first pixel.
        left: column of the box's first pixel.
        pixels: (h, w) bool.
    """

    top: int
    left: int
    pixels: np.ndarray


def encode_masks(masks: Tensor) -> list[RLE]:
    """Encode masks of one picture as pycocotools does, byte for byte.

    Args:
        masks: (N, H, W), bool or 0 and 1; on any device.

    Returns:
        N run-length encodings, for `pycocotools.mask`.

    Example:
        >>> encode_masks(torch.eye(2, dtype=torch.bool)[None])
        [{'size': [2, 2], 'counts': b'013'}]
    """
    height, width = masks.shape[1:]
    masks = masks.bool()
    rows, columns = masks.any(2).cpu().numpy(), masks.any(1).cpu().numpy()
    encoded = []
    for mask, has_row, has_column in zip(masks, rows, columns, strict=True):
        y, x = np.flatnonzero(has_row), np.flatnonzero(has_column)
        positions = np.empty(0, np.int64)
        if len(y):
            crop = mask[y[0] : y[-1] + 1, x[0] : x[-1] + 1].cpu().numpy()
            positions = _changes(crop, int(y[0]), int(x[0]), height)
        counts = np.diff(positions, prepend=0, append=height * width)
        if len(counts) > 1 and counts[-1] == 0:
            counts = counts[:-1]
        plain = dict(size=[height, width], counts=counts.tolist())
        encoded.append(mask_tools.frPyObjects(plain, height, width))
    return encoded


def _changes(crop: np.ndarray, top: int, left: int, height: int) -> np.ndarray:
    """Places in the picture, counted down its columns, where a mask begins and ends, in turn."""
    framed = np.zeros((crop.shape[1], crop.shape[0] + 2), np.int8)
    framed[:, 1:-1] = crop.T
    x, y = np.nonzero(np.diff(framed, axis=1))
    places = (left + x) * height + top + y
    # A run that reaches the foot of a column goes on at the head of the next.
    goes_on = places[1:] == places[:-1]
    keep = np.ones(len(places), bool)
    keep[1:] &= ~goes_on
    keep[:-1] &= ~goes_on
    return places[keep]


def decode_counts(counts: str | bytes) -> np.ndarray:
    """Decode compressed run lengths to numbers, as `rleFrString` of pycocotools, but with checks.

    Raises:
        ValueError: for a text that is none.

    Example:
        >>> decode_counts("013").tolist()
        [0, 1, 3]
    """
    text = counts.encode() if isinstance(counts, str) else counts
    parts = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if len(parts) == 0 or parts.min() < 0 or parts.max() > 63 or parts[-1] & 32:
        raise ValueError(f"no compressed run lengths: {text[:20]!r}")
    # Numbers of 5 bits a character, low ones first; bit 5: there is more, bit 4 of the last: sign.
    ends = np.flatnonzero(parts & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 7:
        raise ValueError(f"no compressed run lengths: {text[:20]!r}")
    shifts = 5 * (np.arange(len(parts)) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((parts & 31) << shifts, starts)
    numbers -= np.where(parts[ends] & 16, 1 << (5 * lengths), 0)
    # From the fourth on, a run is the difference from the last but one.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def cropped_mask(rle: RLE) -> CroppedMask:
    """Decode a mask and cut it to its box; an empty mask has an empty box."""
    left, top, width, height = (int(side) for side in mask_tools.toBbox(rle))
    pixels = mask_tools.decode([rle])[top : top + height, left : left + width, 0]
    return CroppedMask(top, left, pixels.astype(bool))


def cropped_iou(first: CroppedMask, second: CroppedMask) -> float:
    """IoU of two masks of one picture; 0 if both are empty."""
    areas = np.count_nonzero(first.pixels), np.count_nonzero(second.pixels)
    top, left = max(first.top, second.top), max(first.left, second.left)
    bottom = min(one.top + one.pixels.shape[0] for one in (first, second))
    right = min(one.left + one.pixels.shape[1] for one in (first, second))
    common = 0
    if bottom > top and right > left:
        shared = [
            one.pixels[top - one.top : bottom - one.top, left - one.left : right - one.left]
            for one in (first, second)
        ]
        common = np.count_nonzero(shared[0] & shared[1])
    return common / max(1, sum(areas) - common)


def cropped_boundary(mask: CroppedMask, distance: int) -> CroppedMask:
    """Keep the pixels of a mask within `distance` pixels of its contour, see `mask_boundary`."""
    if not mask.pixels.size:
        return mask
    # What lies around the box is not of the mask, as what lies around the picture.
    marked = mask_boundary(torch.from_numpy(mask.pixels)[None], distance)
    return mask._replace(pixels=marked[0].numpy())
