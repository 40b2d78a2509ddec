"""Pixels in memory become what the loader makes of a file that holds them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform, LoadImageFromFile
from PIL import Image

from mmseg_pointrend.inference.pixels import load_pixels
from mmseg_pointrend.inference.reading import load_image

COLOR = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
ALPHA = np.random.default_rng(1).integers(0, 256, (5, 7, 4)).astype(np.uint8)
DEEP = np.random.default_rng(2).integers(0, 65536, (5, 7)).astype(np.uint16)
GREY = COLOR[..., 0]

LOADERS = {
    "color": dict(type="LoadImageFromFile"),
    "float": dict(type="LoadImageFromFile", to_float32=True),
    "pillow": dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    "grey": dict(type="LoadImageFromFile", color_type="grayscale"),
    "unchanged": dict(type="LoadImageFromFile", color_type="unchanged"),
}


def palette_image() -> Image.Image:
    image = Image.fromarray(GREY % 3, "P")
    image.putpalette([200, 10, 20, 30, 220, 40, 50, 60, 240])
    return image


@pytest.mark.parametrize(
    ("loader", "image"),
    [
        ("color", Image.fromarray(COLOR)),
        ("color", Image.fromarray(GREY)),
        ("color", Image.fromarray(ALPHA)),
        ("color", palette_image()),
        ("color", Image.fromarray(GREY > 100)),
        ("float", Image.fromarray(COLOR)),
        ("pillow", Image.fromarray(COLOR)),
        ("grey", Image.fromarray(GREY)),
        ("unchanged", Image.fromarray(DEEP)),
        ("unchanged", Image.fromarray(ALPHA)),
        ("unchanged", Image.fromarray(COLOR)),
    ],
)
def test_pixels_are_those_of_the_file(loader: str, image: Image.Image, tmp_path: Path) -> None:
    image.save(tmp_path / "image.png")
    pipeline = [LOADERS[loader]]
    expected = load_image(pipeline, tmp_path / "image.png")
    expected.pop("img_path")
    given = [image] if image.mode in ("RGB", "P", "1") or loader != "unchanged" else []
    if image.mode not in ("P", "1"):
        pixels = np.asarray(image)
        given += [pixels, torch.from_numpy(pixels.copy().reshape(5, 7, -1)).permute(2, 0, 1)]
    for picture in given:
        found = load_image(pipeline, picture)
        assert found["img"].dtype == expected["img"].dtype
        assert np.array_equal(found.pop("img"), expected["img"])
        assert found == {key: value for key, value in expected.items() if key != "img"}


def test_what_was_given_is_not_written_into() -> None:
    pixels = COLOR.copy()
    load_pixels(LoadImageFromFile(color_type="unchanged"), pixels[..., :1])["img"][:] = 0
    load_pixels(LoadImageFromFile(), pixels)["img"][:] = 0
    assert np.array_equal(pixels, COLOR)


class OwnLoader(BaseTransform):
    def transform(self, results: dict) -> dict:
        return results


@pytest.mark.parametrize(
    ("loader", "picture", "message"),
    [
        (
            OwnLoader(), COLOR,
            "begins with OwnLoader, which reads files: give the path of the picture, not its",
        ),
        (
            LoadImageFromFile(), COLOR / 255.0,
            r"must be uint8 from 0 to 255, got float64; of values in \[0, 1\] make them by",
        ),
        (LoadImageFromFile(), DEEP, "must be uint8 from 0 to 255, got uint16"),
        (
            LoadImageFromFile(), COLOR[None, None],
            r"must be \(H, W, C\) with 1, 3 or 4 channels, or \(H, W\), got \(1, 1, 5, 7, 3\)",
        ),
        (LoadImageFromFile(), COLOR[..., :2], "must have 1, 3 or 4 channels, got 2"),
        (LoadImageFromFile(), COLOR[:0], r"got \(0, 7, 3\)"),
        (
            LoadImageFromFile(), torch.from_numpy(COLOR),
            r"must be \(C, H, W\) with 1, 3 or 4 channels, or \(H, W\), got \(5, 7, 3\)",
        ),
        (
            LoadImageFromFile(color_type="grayscale"), COLOR,
            r"the config reads grey pictures: pixels must be \(H, W\), got \(5, 7, 3\)",
        ),
        (LoadImageFromFile(), Image.fromarray(DEEP), "of Pillow's mode I;16 has no 8 bits"),
    ],
)  # fmt: skip
def test_mistakes(loader: object, picture: object, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        load_pixels(loader, picture)
