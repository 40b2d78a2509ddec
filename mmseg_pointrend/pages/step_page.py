"""The rendering of a picture as one HTML file: no network, nothing beside it."""

import base64
import html
import json
import math
import re
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from mmseg_pointrend.compat.whole_files import whole_file
from mmseg_pointrend.inference.predictor import RenderingStep
from mmseg_pointrend.pages.rendered_picture import RenderedPicture

#: What browsers show without trouble: a canvas of 4 bytes a pixel, a few times over.
MOST_PIXELS = 1 << 24
#: What one channel of an image can tell apart.
MOST_CLASSES = 256
#: Of the picture: its labels must be exact, its colours need not.
_JPEG_QUALITY = 92
#: Of zlib: files are twice as large as with the best, and written ten times as fast.
_PNG_EFFORT = 3


def write_step_page(picture: RenderedPicture, path: str | Path) -> None:
    """Write a page on which the rendering of a picture can be looked at, step by step.

    Args:
        picture: what was rendered.
        path: of the HTML file; it appears when it is complete.

    Raises:
        ValueError: for a picture of more pixels or classes than a page shows.
        OSError: if the file cannot be written.
    """
    height, width = picture.pixels.shape[:2]
    if height * width > MOST_PIXELS:
        raise ValueError(
            f"{picture.name} has {height}x{width} pixels, and a page shows at most {MOST_PIXELS}: "
            "cut a part out of the picture, or make it smaller"
        )
    if len(picture.classes) > MOST_CLASSES:
        raise ValueError(
            f"a page shows at most {MOST_CLASSES} classes, {picture.name} has "
            f"{len(picture.classes)}"
        )
    parts = dict(
        title=html.escape(picture.name),
        style=_part("css"),
        # In JSON "<" occurs in texts alone, where this is the same character.
        data=json.dumps(_describe(picture)).replace("<", "\\u003c"),
        script=_part("js"),
    )
    page = re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark.group(1)], _part("html"))
    with whole_file(path) as file:
        file.write(page.encode())


def _part(kind: str) -> str:
    """Read a part of the page that lies beside this file."""
    return resources.files(__package__).joinpath(f"step_page.{kind}").read_text("utf-8")


def _describe(picture: RenderedPicture) -> dict:
    """Put what the script shows together, as JSON can hold it."""
    height, width = picture.pixels.shape[:2]
    steps = [
        dict(
            maps=_png(np.stack([step.labels, step.runner_up, _margin(step)], axis=2)),
            points=_base64(step.points.astype("<f4").tobytes()),
            **{
                name: _rounded(value)
                for name, value in numbers._asdict().items()
                if name != "points"
            },
        )  # fmt: skip
        for step, numbers in zip(picture.steps, picture.numbers(), strict=True)
    ]
    truth = picture.truth
    if truth is not None:
        # One value for what is not known, whatever `ignore_index` is; classes keep theirs.
        truth = _png(np.stack([np.where(picture.known, truth, 0), picture.known * 255], axis=2))
    return dict(
        name=picture.name, width=width, height=height, classes=list(picture.classes),
        palette=[list(map(int, color)) for color in picture.palette],
        picture=_jpeg(picture.pixels), truth=truth, steps=steps,
    )  # fmt: skip


def _margin(step: RenderingStep) -> np.ndarray:
    """Tell by how much the label is more probable than the next best class: (H, W), percent."""
    first, second = step.probabilities.astype(np.int32)
    return ((100 * (first - second) + 127) // 255).clip(0, 100).astype(np.uint8)


def _rounded(value: int | float | None) -> int | float | None:
    """Keep what is shown: shares to a hundredth of a percent."""
    return round(value, 6) if isinstance(value, float) and math.isfinite(value) else value


def _png(maps: np.ndarray) -> str:
    """Write (H, W) or (H, W, C <= 3) maps of bytes as an image: red is the first."""
    maps = np.atleast_3d(maps).astype(np.uint8)
    if maps.shape[2] == 2:
        maps = np.pad(maps, ((0, 0), (0, 0), (0, 1)))
    image = np.ascontiguousarray(maps[..., ::-1])
    return "data:image/png;base64," + _encode(".png", image, cv2.IMWRITE_PNG_COMPRESSION,
                                              _PNG_EFFORT)  # fmt: skip


def _jpeg(pixels: np.ndarray) -> str:
    image = np.ascontiguousarray(pixels[..., ::-1])
    return "data:image/jpeg;base64," + _encode(".jpg", image, cv2.IMWRITE_JPEG_QUALITY,
                                               _JPEG_QUALITY)  # fmt: skip


def _encode(ending: str, image: np.ndarray, *settings: int) -> str:
    _, data = cv2.imencode(ending, image, list(settings))
    return _base64(data.tobytes())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
