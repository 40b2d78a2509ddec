"""Where a transform of unknown effect puts the pixels of a picture: found by trying it."""

import copy
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from mmseg_pointrend.compat.upstream_transforms import Effect

#: Rows and columns of the blocks that are changed, as shares of the picture's sides: far from each
#: other, and such that no flip and no turn puts one where it or the other was.
_BLOCKS = (((0.05, 0.20), (0.30, 0.45)), ((0.75, 0.95), (0.80, 0.90)))
#: Each block is tried as often, with other random numbers: a transform may do something or not.
_DRAWS = 3
#: On shorter sides one place cannot be told from another.
SHORTEST_SIDE = 16


def probe(transform: Callable[[dict], dict | None], sample: dict) -> Effect | None:
    """Find what a transform does to the place of pixels.

    Blocks of the picture are made dark, then bright, in the picture's own values, so that what
    depends on the whole picture (its mean, its largest value) hardly notices. Where the two results
    differ, there the block is.

    Args:
        transform: takes and gives samples as dicts; is given copies.
        sample: what it is to be tried with: the picture is `img`, (H, W) or (H, W, C).

    Returns:
        that it keeps every pixel in its place, resizes the picture, or pads it to the right and
        below; None if it does something else. Where a side of the picture is shorter than
        `SHORTEST_SIDE` pixels, what keeps the size is taken to keep the place.
    """
    sample = dict(sample, img=_vary(sample["img"]))
    size = sample["img"].shape[:2]
    found = set()
    with _random_states_kept():
        for number in range(_DRAWS):
            for block in _BLOCKS:
                found.add(_try(transform, sample, _slices(block, size), number))
    return found.pop() if len(found) == 1 else None


def _try(
    transform: Callable[[dict], dict | None],
    sample: dict,
    block: tuple[slice, slice],
    number: int,
) -> Effect | None:
    given, results = [], []
    for value in _dark_and_bright(sample["img"]):
        changed = copy.deepcopy(sample)
        changed["img"] = sample["img"].copy()
        changed["img"][block] = value
        given.append(changed["img"].copy())
        _seed(number)
        result = (transform(changed) or {}).get("img")
        if not isinstance(result, np.ndarray) or result.ndim not in (2, 3):
            return None
        results.append(result)
    return _compare(given, results, block)


def _compare(
    given: list[np.ndarray], results: list[np.ndarray], block: tuple[slice, slice]
) -> Effect | None:
    """Say what became of a block that is dark in one picture and bright in the other."""
    before, after = given[0].shape[:2], results[0].shape[:2]
    if results[1].shape != results[0].shape:
        return None
    if min(before) < SHORTEST_SIDE:
        return Effect.KEEPS if before == after else None
    found = _differing(*results)
    if before != after and _is_cut(given, results, block, found):
        return None
    if before != after:
        top, left = (found[axis][0] - block[axis].start for axis in (0, 1))
        if all(map(_holds, results, given, [(top, left)] * 2)):
            return Effect.PADS if top == left == 0 else None
    for axis in (0, 1):
        scale = after[axis] / before[axis]
        tolerance = 1 + max(1.0, scale) / 2
        first, end = block[axis].start * scale, block[axis].stop * scale
        if abs(found[axis][0] - first) > tolerance or abs(found[axis][1] - end) > tolerance:
            return None
    return Effect.KEEPS if before == after else Effect.RESIZES


def _is_cut(
    given: list[np.ndarray],
    results: list[np.ndarray],
    block: tuple[slice, slice],
    found: list[tuple[int, int]],
) -> bool:
    """Whether results are pieces of what was given, unchanged; a part of the block may be lost."""
    ends = [
        (block[axis].start - found[axis][0], block[axis].stop - found[axis][1]) for axis in (0, 1)
    ]
    return any(all(map(_holds, given, results, [place] * 2)) for place in itertools.product(*ends))


def _holds(result: np.ndarray, picture: np.ndarray, place: tuple[int, int]) -> bool:
    """Whether a picture lies in a larger one, unchanged."""
    if min(place) < 0:
        return False
    rows, columns = (
        slice(first, first + side) for first, side in zip(place, picture.shape[:2], strict=True)
    )
    return np.array_equal(result[rows, columns], picture)


def _differing(dark: np.ndarray, bright: np.ndarray) -> list[tuple[int, int]]:
    """Find first and end of the rows and of the columns where two pictures differ most.

    Where nothing differs they are -1.
    """
    difference = np.abs(bright.astype(np.float32) - dark.astype(np.float32))
    difference = np.nan_to_num(difference.reshape(*dark.shape[:2], -1).sum(2))
    found = []
    for axis in (0, 1):
        profile = difference.sum(1 - axis)
        place = np.flatnonzero(profile > profile.max() / 2)
        found.append((int(place[0]), int(place[-1]) + 1) if len(place) else (-1, -1))
    return found


def _dark_and_bright(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the smallest and the largest value of each channel."""
    values = _some_values(image)
    low, high = values.min(0), values.max(0)
    return (low[0], high[0]) if image.ndim == 2 else (low, high)


def _vary(image: np.ndarray) -> np.ndarray:
    """Fill channels that hold one value with noise: there is no dark and no bright in them."""
    values = _some_values(image)
    flat = (values == values[0]).all(0)
    if not flat.any():
        return image
    noise = np.random.default_rng(0).integers(0, 2, image.shape)
    if np.issubdtype(image.dtype, np.integer):
        noise = noise * np.iinfo(image.dtype).max
    return np.where(flat if image.ndim == 3 else flat[0], noise, image).astype(image.dtype)


def _some_values(image: np.ndarray) -> np.ndarray:
    """Take up to a million or so pixels: (P, C)."""
    pixels = image.reshape(image.shape[0] * image.shape[1], -1)
    return pixels[:: max(1, len(pixels) // 1_000_000)]


def _slices(
    block: tuple[tuple[float, float], tuple[float, float]], size: tuple[int, int]
) -> tuple[slice, slice]:
    rows, columns = (
        slice(int(side * first), max(int(side * end), int(side * first) + 1))
        for side, (first, end) in zip(size, block, strict=True)
    )
    return rows, columns


@contextmanager
def _random_states_kept() -> Iterator[None]:
    """Leave the random numbers of Python, numpy and torch (those of the CPU) as they were."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _seed(number: int) -> None:
    """Seed them; a GPU's are not for transforms, and cannot be reached from a loader's worker."""
    random.seed(number)
    np.random.seed(number)
    torch.default_generator.manual_seed(number)
