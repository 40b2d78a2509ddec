"""Pictures and objects with the steps of their renderings, by an inferencer."""

import cv2
import numpy as np

from mmseg_pointrend.apis.inferencer import PointRendInferencer
from mmseg_pointrend.apis.visualization.pictures import Shown
from mmseg_pointrend.inference.object_steps import predict_object_steps
from mmseg_pointrend.inference.overlays import as_color
from mmseg_pointrend.pages import RenderedPicture


def render_picture(inferencer: PointRendInferencer, shown: Shown) -> dict[str, RenderedPicture]:
    """Predict a picture and keep what each step of its rendering has made of it.

    Returns:
        name of the files, without ending -> what is shown: one.
    """
    found = inferencer(shown.path, steps=True)
    picture = RenderedPicture(
        name=shown.name.stem,
        pixels=_pixels(inferencer, shown.path, found.labels.shape),
        steps=found.steps,
        classes=inferencer.classes,
        palette=inferencer.palette,
        truth=shown.truth,
        ignore_index=inferencer.model.decode_head.ignore_index,
    )
    return {shown.name.with_suffix("").as_posix(): picture}


def render_objects(inferencer: PointRendInferencer, shown: Shown) -> dict[str, RenderedPicture]:
    """Predict a picture's objects and keep what each step has made of their masks.

    Returns:
        name of the files, without ending -> what is shown; the surest object first.
    """
    read = inferencer.reader.read(shown.path)
    objects = predict_object_steps(inferencer.model, read, inferencer.predictor.score)
    size = tuple(read.item["data_samples"].ori_shape[:2])
    pixels = _pixels(inferencer, shown.path, size)
    found = {}
    for number, one in enumerate(objects, 1):
        name = inferencer.classes[one.label]
        # Of a class's name what a file's name may hold.
        plain = "".join(letter if letter.isalnum() else "-" for letter in name)
        path = shown.name.with_suffix("") / f"{number:03d}-{plain}"
        found[path.as_posix()] = RenderedPicture(
            name=f"{shown.name.stem}: {name} {100 * one.score:.0f} %",
            pixels=np.ascontiguousarray(pixels[one.window]),
            steps=one.steps,
            classes=["background", name],
            palette=[[0, 0, 0], inferencer.palette[one.label]],
        )
    return found


def _pixels(inferencer: PointRendInferencer, path: str, size: tuple[int, int]) -> np.ndarray:
    """Read a picture, (H, W, 3), red first, in the size of what is predicted of it."""
    pixels = as_color(inferencer.reader.load(path)["img"])
    if pixels.shape[:2] != size:
        pixels = cv2.resize(pixels, size[::-1])
    return np.ascontiguousarray(pixels[..., ::-1])
