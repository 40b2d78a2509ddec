"""Coarse logits as a trained network gives them, for measuring a rendering without weights.

How much work a rendering has depends on how much of the picture is uncertain. Logits of a network
with random weights, or random numbers, make everything uncertain, which no trained network does.
These are made from the exact labels of a generated scene: confident inside of things, undecided at
their borders, wrong or unsure in patches.
"""

from numbers import Integral

import cv2
import numpy as np

from mmseg_pointrend.lab.scenes.drawing import IGNORE, SMALLEST_SIDE, draw_scene

#: Logit of a class in the middle of its things, before the noise; 0 far from them.
_CONFIDENCE = 8.0
#: Width of the undecided border: deviation of the blur, in coarse pixels.
_BLUR = 0.8
#: Deviation of the noise of a logit, and how far it reaches, in coarse pixels.
_NOISE, _NOISE_REACH = 0.7, 1.0
#: Patches in which a second class comes close to the first: their size in coarse pixels.
_PATCH = 24


def scene_logits(seed: int, num_classes: int, size: tuple[int, int], stride: int = 4) -> np.ndarray:
    """Make coarse logits of a generated scene.

    The scene's things are dealt out to `num_classes` classes: every connected piece of a class of
    the scene gets a class of its own, in turn.

    Args:
        seed: not negative; which scene, and which noise.
        num_classes: K.
        size: (h, w) of the coarse grid.
        stride: pixels of the picture to a coarse pixel, along each axis.

    Returns:
        (K, h, w), float32.

    Raises:
        ValueError: for a number of classes below 1, or a grid whose picture would be smaller than
            a scene can be.
    """
    if not isinstance(num_classes, Integral) or num_classes < 1:
        raise ValueError(f"num_classes must be an integer >= 1, got {num_classes!r}")
    height, width = size
    smallest = -(-SMALLEST_SIDE // stride)
    if min(size) < smallest:
        raise ValueError(f"size must be at least ({smallest}, {smallest}), got {tuple(size)}")
    rng = np.random.default_rng(seed)
    _, labels = draw_scene(rng, (height * stride, width * stride))
    labels = _deal_out(labels, max(num_classes, 2))
    logits = np.empty((num_classes, height, width), np.float32)
    unsure = _patches(rng, size)
    for k in range(num_classes):
        covered = cv2.resize(
            (labels == k).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA
        )
        logits[k] = _CONFIDENCE * cv2.GaussianBlur(covered, (0, 0), _BLUR)
        noise = cv2.GaussianBlur(rng.standard_normal(size, dtype=np.float32), (0, 0), _NOISE_REACH)
        logits[k] += _NOISE / noise.std() * noise
    if num_classes == 1:
        return logits - _CONFIDENCE / 2
    # The rival of a class is its neighbour in the list.
    return logits + unsure * np.roll(logits, 1, axis=0)


def _deal_out(labels: np.ndarray, num_classes: int) -> np.ndarray:
    dealt = np.zeros(labels.shape, np.int32)
    next_class = 0
    for label in range(IGNORE):
        mask = (labels == label).astype(np.uint8)
        if not mask.any():
            continue
        count, pieces = cv2.connectedComponents(mask)
        dealt += np.where(mask, (pieces + next_class) % num_classes, 0).astype(np.int32)
        next_class += count
    return dealt


def _patches(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """How close the rival comes: (h, w) float32 in [0, 1), near 0 in most places."""
    cells = tuple(side // _PATCH + 2 for side in size)
    field = rng.random(cells, dtype=np.float32) ** 4
    return cv2.resize(field, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 0.99)
