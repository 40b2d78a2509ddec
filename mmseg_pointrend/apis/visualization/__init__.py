"""What each step of a rendering does, to be looked at: a page and an image for each picture."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmseg_pointrend.apis.inferencer import PointRendInferencer
from mmseg_pointrend.apis.visualization.pictures import of_files, of_test_data
from mmseg_pointrend.apis.visualization.rendering import render_objects, render_picture
from mmseg_pointrend.compat.whole_files import whole_file
from mmseg_pointrend.pages import draw_steps, write_step_page

__all__ = ["visualize"]


def visualize(
    inferencer: PointRendInferencer,
    out: str | Path,
    pictures: Sequence[str | os.PathLike] = (),
    truths: Sequence[str | os.PathLike] = (),
    numbers: Sequence[int] = (),
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Write what each step of the rendering of pictures does: a page (HTML) and an image (PNG).

    Args:
        inferencer: of a PointRend that sees pictures whole. Of a detector each object that is as
            sure as its `score` gets a page and an image of its own, in a folder for the picture.
        out: folder for the files; they are named for the pictures.
        pictures: files, folders, patterns or lists of files, see `inference.inputs`.
        truths: their label maps, one for each, in the pictures' order: PNG files of class indices;
            the label of unknown pixels is the model's `ignore_index`. Not of objects.
        numbers: of pictures of the config's test data, whose truth is known; in place of pictures.
            Not of objects.
        say: is told of each file.

    Returns:
        the files, two for each picture or object.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: for nothing to show, another number of truths than of pictures, a truth that
            does not fit, or a model without steps.
    """
    finds_objects = inferencer.config.get("default_scope") == "mmdet"
    if finds_objects and (truths or numbers):
        raise ValueError("objects are shown without a truth: give pictures alone")
    if bool(pictures) == bool(numbers):
        raise ValueError("give pictures, or numbers of pictures of the test data")
    if truths and len(truths) != len(pictures):
        raise ValueError(
            f"truths must be one for each of {len(pictures)} pictures, got {len(truths)}"
        )
    shown = of_test_data(inferencer, numbers) if numbers else of_files(pictures, truths)
    written = []
    for one in shown:
        render = render_objects if finds_objects else render_picture
        rendered = render(inferencer, one)
        for name, picture in rendered.items():
            page, image = (Path(out) / f"{name}{ending}" for ending in (".html", ".png"))
            write_step_page(picture, page)
            _write_image(draw_steps(picture), image)
            written += [page, image]
            say(f"Written: {page} and {image.name}")
        if not rendered:
            say(f"No object was found in {one.path} (--score S shows less sure ones)")
    return written


def _write_image(image: np.ndarray, path: Path) -> None:
    _, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    with whole_file(path) as file:
        file.write(data.tobytes())
