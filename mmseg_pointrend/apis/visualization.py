"""What each step of a rendering does, to be looked at: a page and an image for each picture."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_pointrend.apis.inferencer import PointRendInferencer
from mmseg_pointrend.compat.whole_files import whole_file
from mmseg_pointrend.inference.inputs import find_pictures, name_pictures
from mmseg_pointrend.inference.names import absolute, common_folder
from mmseg_pointrend.inference.object_steps import predict_object_steps
from mmseg_pointrend.inference.overlays import as_color
from mmseg_pointrend.pages import RenderedPicture, draw_steps, write_step_page


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
    shown = _of_test_data(inferencer, numbers) if numbers else _of_files(pictures, truths)
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


class Shown(NamedTuple):
    """A picture that is shown.

    Attributes:
        path: of its file.
        name: what is written for it, without an ending that counts.
        truth: (H, W), class indices, if it is known.
    """

    path: str
    name: Path
    truth: np.ndarray | None = None


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


def _of_files(
    pictures: Sequence[str | os.PathLike], truths: Sequence[str | os.PathLike]
) -> Iterator[Shown]:
    """List the pictures; with truths each is a file, and they keep their order."""
    if not truths:
        for picture in find_pictures(pictures).pictures:
            yield Shown(picture.path, Path(picture.name))
        return
    paths = list(map(absolute, pictures))
    for path in paths:
        if not os.path.isfile(path):
            raise FileNotFoundError(f"with truths a picture is a file, and {path} is none")
    names = _names(paths)
    for path, truth in zip(paths, truths, strict=True):
        yield Shown(path, names[path], _read_truth(truth))


def _of_test_data(inferencer: PointRendInferencer, numbers: Sequence[int]) -> Iterator[Shown]:
    """List pictures of the config's test data."""
    dataset = DATASETS.build(inferencer.config.test_dataloader.dataset)
    for number in numbers:
        if not 0 <= number < len(dataset):
            raise ValueError(
                f"the test data have {len(dataset)} pictures, from 0 to {len(dataset) - 1}; got "
                f"{number}"
            )
    samples = [dataset[number]["data_samples"] for number in numbers]
    names = _names([sample.img_path for sample in samples])
    for sample in samples:
        truth = sample.gt_sem_seg.data[0].numpy() if "gt_sem_seg" in sample else None
        yield Shown(sample.img_path, names[sample.img_path], truth)


def _names(paths: Iterable[str]) -> dict[str, Path]:
    """Name what is written for pictures, so that no two have one name."""
    paths = sorted(set(paths))
    root = common_folder({os.path.dirname(absolute(path)) for path in paths})
    found = name_pictures([absolute(path) for path in paths], root)
    return {path: Path(one.name) for path, one in zip(paths, found.pictures, strict=True)}


def _read_truth(path: str | os.PathLike) -> np.ndarray:
    """Read a label map: (H, W)."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"truth {os.fspath(path)} does not exist")
    try:
        with Image.open(path) as image:
            labels = np.asarray(image)
    except OSError as error:
        raise ValueError(f"truth {os.fspath(path)} is not an image ({error})") from error
    if labels.ndim != 2:
        raise ValueError(
            f"truth {os.fspath(path)} must hold class indices, (H, W), got colours {labels.shape}"
        )
    return labels


def _write_image(image: np.ndarray, path: Path) -> None:
    _, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    with whole_file(path) as file:
        file.write(data.tobytes())
