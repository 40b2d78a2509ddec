"""Write generated scenes with the masks of their things, as COCO has them.

Convention: the folder is that of COCO, `<split>/*.png` and `annotations/instances_<split>.json`;
`scenes.json` records what the folder was asked to hold, and is written last.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
from rich.progress import track

from mmseg_pointrend.lab.scenes.canvas import Surface
from mmseg_pointrend.lab.scenes.drawing import check_scene_options, draw_scene_things
from mmseg_pointrend.lab.scenes.folder import (
    DRAWING_VERSION,
    FINISHED,
    UNFINISHED,
    check_counts,
    check_folder,
    write_whole,
)

#: Class -> label of its pixels; a class's number in the annotation file is its place here, from 1.
CLASSES = {
    "person": Surface.PERSON,
    "car": Surface.CAR,
    "pole": Surface.POLE,
    "fence": Surface.FENCE,
    "plant": Surface.VEGETATION,
}


@dataclass(frozen=True)
class SceneInstance:
    """One thing of a scene, as far as it is seen.

    Args:
        category: number of its class, from 1, in the order of `CLASSES`.
        corner: row and column of its box's first pixel.
        mask: (h, w) bool, the pixels of its box that show it.
    """

    category: int
    corner: tuple[int, int]
    mask: np.ndarray

    @property
    def area(self) -> int:
        """Pixels that show it."""
        return int(np.count_nonzero(self.mask))


def scene_instances(labels: np.ndarray, things: np.ndarray) -> Iterator[SceneInstance]:
    """Yield the things of a scene that are seen, from far to near.

    Args:
        labels: (H, W), of `draw_scene_things`.
        things: (H, W), of `draw_scene_things`.
    """
    categories = {int(surface): place for place, surface in enumerate(CLASSES.values(), 1)}
    rows, columns = np.nonzero(things)
    numbers = things[rows, columns]
    # Pixels of one thing side by side: one pass over the picture, however many things there are.
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order], prepend=0))
    for pixels in np.split(order, starts[1:]) if len(order) else []:
        y, x = rows[pixels], columns[pixels]
        top, left = int(y.min()), int(x.min())
        mask = np.zeros((int(y.max()) - top + 1, int(x.max()) - left + 1), bool)
        mask[y - top, x - left] = True
        yield SceneInstance(categories[int(labels[y[0], x[0]])], (top, left), mask)


def draw_close_up(
    rng: np.random.Generator, size: tuple[int, int], difficulty: float, zoom: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a window of a street scene that is `zoom` times as large.

    The window lies anywhere from left to right; its middle is near that of the scene, where most
    things stand.

    Args:
        rng: source of all randomness; it is advanced.
        size: height and width of the window, in pixels.
        difficulty: of the scene, see `draw_scene`.
        zoom: a whole number >= 1; 1 gives the scene itself.

    Returns:
        picture, labels and things, see `draw_scene_things`.
    """
    height, width = size
    scene = draw_scene_things(rng, (height * zoom, width * zoom), difficulty)
    if zoom == 1:
        return scene
    middle = (zoom - 1) * height / 2
    top = round(middle + rng.uniform(-0.15, 0.25) * height)
    top = min(max(top, 0), (zoom - 1) * height)
    left = int(rng.integers((zoom - 1) * width + 1))
    picture, labels, things = (part[top : top + height, left : left + width] for part in scene)
    return picture, labels, things


def write_instance_scenes(
    root: str | Path,
    num_train: int = 240,
    num_val: int = 60,
    size: tuple[int, int] = (192, 384),
    difficulty: float = 0.5,
    seed: int = 0,
    smallest: int = 24,
    zoom: int = 3,
) -> None:
    """Write generated street scenes and the masks of their things, in the format of COCO.

    The pictures are close-ups: windows of scenes that are drawn `zoom` times as large, in which
    things have the sizes that they have in photographs of things; with `zoom=1` they are those of
    `write_scenes`. Masks are what is seen of a thing: what stands before it is cut out, so poles
    and fences cut cars and plants in pieces, and leaves leave holes. They are run-length encoded.

    Args:
        root: the folder; it is made when missing.
        num_train: number of scenes to train on.
        num_val: number of scenes to validate on.
        size: height and width of every picture, in pixels.
        difficulty: from 0 to 1; see `draw_scene`.
        seed: not negative. Equal arguments give files that are equal byte for byte.
        smallest: things of which fewer pixels are seen are marked as crowds (`iscrowd`), which
            are neither trained nor measured; >= 1, which marks none.
        zoom: how many times as large things are as in `write_scenes`; >= 1.

    Raises:
        ImportError: without pycocotools.
        ValueError: if an argument is out of range, or `root` holds anything else than an earlier
            run with equal arguments.
    """
    size, difficulty = check_scene_options(size, difficulty)
    asked: dict[str, object] = {"masks": "instances"}
    asked |= check_counts(num_train=num_train, num_val=num_val, seed=seed, smallest=smallest)
    asked |= check_counts(zoom=zoom)
    for name, number in (("smallest", smallest), ("zoom", zoom)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    asked |= {"size": list(size), "difficulty": difficulty, "drawing_version": DRAWING_VERSION}
    root = Path(root)
    check_folder(root, asked)
    if (root / FINISHED).exists():
        return
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    write_whole(root / UNFINISHED, (json.dumps(asked, indent=2) + "\n").encode())
    for split, count in (("train", num_train), ("val", num_val)):
        _write_split(root, split, count, seed, (size, difficulty, smallest, zoom))
    os.replace(root / UNFINISHED, root / FINISHED)


def _write_split(
    root: Path, split: str, count: int, seed: int, options: tuple[tuple[int, int], float, int, int]
) -> None:
    """Write the pictures of a split, then its annotation file."""
    size, difficulty, smallest, zoom = options
    number = ("train", "val").index(split)
    (root / split).mkdir(exist_ok=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for index in track(range(count), f"     drawing {split}"):
        rng = np.random.default_rng([seed, number, index])
        picture, labels, things = draw_close_up(rng, size, difficulty, zoom)
        name = f"{index:06d}.png"
        write_whole(root / split / name, cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
        images.append(dict(id=index + 1, file_name=name, height=size[0], width=size[1]))
        for instance in scene_instances(labels, things):
            place = dict(id=len(annotations) + 1, image_id=index + 1)
            annotations.append(place | _annotation(instance, size, smallest))
    categories = [dict(id=place, name=name) for place, name in enumerate(CLASSES, 1)]
    content = dict(images=images, annotations=annotations, categories=categories)
    file = root / "annotations" / f"instances_{split}.json"
    write_whole(file, (json.dumps(content, separators=(",", ":")) + "\n").encode())


def _annotation(instance: SceneInstance, size: tuple[int, int], smallest: int) -> dict:
    """Describe a thing as COCO does."""
    (top, left), (height, width) = instance.corner, instance.mask.shape
    whole = np.zeros(size, np.uint8, order="F")
    whole[top : top + height, left : left + width] = instance.mask
    encoded = _mask_tools().encode(whole)
    return dict(
        category_id=instance.category,
        bbox=[left, top, width, height],
        area=instance.area,
        iscrowd=int(instance.area < smallest),
        segmentation=dict(size=list(size), counts=encoded["counts"].decode()),
    )


def _mask_tools() -> ModuleType:
    """Import pycocotools, which the extra `instance` brings."""
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ImportError(
            "masks in the format of COCO need pycocotools: "
            'pip install "mmseg-pointrend[instance]" (in a clone: make install)'
        ) from error
    return mask
