"""What transforms of unknown effect are found to do."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from mmseg_pointrend.compat.upstream_transforms import Effect
from mmseg_pointrend.datasets.probe import probe

SIZES = [(16, 16), (37, 51), (64, 64), (130, 40)]


def pictures(size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Pictures of several kinds: noise, a slope, one value, deep, grey, real numbers."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    slope = np.add.outer(np.arange(size[0]), 2 * np.arange(size[1])).astype(np.uint8)
    return {
        "noise": noise,
        "slope": slope,
        "black": np.zeros((*size, 3), np.uint8),
        "white": np.full(size, 255, np.uint8),
        "deep": rng.integers(0, 4096, size).astype(np.uint16),
        "real": rng.normal(size=(*size, 4)).astype(np.float32),
    }


def on_picture(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict], dict]:
    return lambda sample: dict(sample, img=np.ascontiguousarray(change(sample["img"])))


def standardise(image: np.ndarray) -> np.ndarray:
    image = image.astype(np.float32)
    return (image - image.mean()) / (image.std() + 1e-6)


def stretch(image: np.ndarray) -> np.ndarray:
    image = image.astype(np.float32)
    return (image - image.min()) / (image.max() - image.min() + 1e-6)


def add_noise(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) + np.random.normal(scale=3, size=image.shape)


def paint_in_place(sample: dict) -> dict:
    sample["img"] //= 2
    return sample


def local_contrast(image: np.ndarray) -> np.ndarray:
    grey = image if image.ndim == 2 else image[..., 0]
    return cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4)).apply(grey.astype(np.uint8))


KEEPING = {
    "12 bits": lambda image: image.astype(np.float32) / 4095 * 255,
    "standardised": standardise,
    "stretched": stretch,
    "noise": add_noise,
    "blurred": lambda image: cv2.GaussianBlur(image.astype(np.float32), (3, 3), 0),
    "inverted": lambda image: image.max() - image,
    "first channel": lambda image: image if image.ndim == 2 else image[..., :1],
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", KEEPING)
def test_what_changes_values_keeps_the_place(name: str, size: tuple[int, int]) -> None:
    for kind, image in pictures(size).items():
        before = image.copy()
        assert probe(on_picture(KEEPING[name]), dict(img=image)) is Effect.KEEPS, kind
        assert np.array_equal(image, before)


def test_local_contrast_and_work_in_place() -> None:
    image = pictures((64, 80))["noise"]
    assert probe(on_picture(local_contrast), dict(img=image)) is Effect.KEEPS
    before = image.copy()
    assert probe(paint_in_place, dict(img=image)) is Effect.KEEPS
    assert np.array_equal(image, before)


MOVING = {
    "turned once": np.rot90,
    "turned twice": lambda image: np.rot90(image, 2),
    "turned back": lambda image: np.rot90(image, -1),
    "transposed": lambda image: image.swapaxes(0, 1),
    "mirrored": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "moved": lambda image: np.roll(image, 4, 1),
    "moved down": lambda image: np.roll(image, -4, 0),
    "cut": lambda image: image[2:-2, 2:-2],
    "cut at the end": lambda image: image[:-4],
    "padded around": lambda image: np.pad(image, [(3, 3), (2, 2), (0, 0)][: image.ndim]),
    "letterbox": lambda image: np.pad(
        cv2.resize(image, (image.shape[1], image.shape[0] // 2)),
        [(0, image.shape[0] // 2), (0, 0), (0, 0)][: image.ndim],
    ),
    "nothing left": lambda image: np.zeros_like(image),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MOVING)
def test_what_moves_pixels_is_found(name: str, size: tuple[int, int]) -> None:
    for kind, image in pictures(size).items():
        assert probe(on_picture(MOVING[name]), dict(img=image)) is None, kind


@pytest.mark.parametrize("target", [(24, 40), (74, 102), (33, 33), (37, 90), (61, 51)])
@pytest.mark.parametrize("how", [cv2.INTER_LINEAR, cv2.INTER_NEAREST, cv2.INTER_AREA])
def test_resizes_are_found(target: tuple[int, int], how: int) -> None:
    for kind, image in pictures((37, 51)).items():
        resize = on_picture(lambda image: cv2.resize(image, target[::-1], interpolation=how))
        assert probe(resize, dict(img=image)) is Effect.RESIZES, kind


def test_padding_to_the_right_and_below_is_found() -> None:
    for kind, image in pictures((37, 51)).items():
        for rows, columns, mode in ((1, 0, "edge"), (27, 13, "reflect"), (0, 5, "constant")):
            width = [(0, rows), (0, columns), (0, 0)][: image.ndim]
            pad = on_picture(lambda image, width=width, mode=mode: np.pad(image, width, mode))
            assert probe(pad, dict(img=image)) is Effect.PADS, kind


RANDOM = {
    "random": lambda: __import__("random").random(),
    "numpy": np.random.rand,
    "torch": lambda: torch.rand(1).item(),
}


@pytest.mark.parametrize("library", RANDOM)
def test_what_moves_pixels_at_random_is_found_and_the_random_numbers_stay(library: str) -> None:
    draw = RANDOM[library]
    mirror = on_picture(lambda image: image[:, ::-1] if draw() < 0.5 else image)
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert probe(mirror, dict(img=pictures((40, 60))["noise"])) is None
    assert torch.equal(state[0], torch.get_rng_state())
    assert np.array_equal(state[1], np.random.get_state()[1])


def test_small_pictures_cannot_tell() -> None:
    image = np.arange(15 * 30, dtype=np.uint8).reshape(15, 30)
    assert probe(on_picture(np.flipud), dict(img=image)) is Effect.KEEPS
    assert probe(on_picture(lambda image: image[:9]), dict(img=image)) is None
    assert probe(on_picture(np.negative), dict(img=image[:1, :1])) is Effect.KEEPS


def test_what_gives_no_picture_is_not_known() -> None:
    assert probe(lambda sample: None, dict(img=pictures((37, 51))["noise"])) is None
    assert probe(lambda sample: {}, dict(img=pictures((37, 51))["noise"])) is None
