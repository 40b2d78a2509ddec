"""Objects of pictures: predicted by a model that is built, written as JSON, painted."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from mmseg_pointrend.compat.whole_files import whole_file
from mmseg_pointrend.inference.overlays import as_color
from mmseg_pointrend.inference.predictor import LABELS, Details
from mmseg_pointrend.inference.reading import Read
from mmseg_pointrend.inference.written import write_overlay

#: How much of a painted pixel is the object's colour.
_OPACITY = 0.5
#: Size of letters, as a share of OpenCV's own.
_LETTERS = 0.4


class Objects(NamedTuple):
    """What is predicted of a picture, the surest object first.

    Attributes:
        size: (H, W) of the picture.
        boxes: (R, 4): left, top, right and bottom, pixels.
        labels: (R,), from 0.
        scores: (R,), from 0 to 1.
        masks: of each object, (H, W), in COCO's compressed runs; none of models without masks.
    """

    size: tuple[int, int]
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    masks: list[dict]


@dataclass(frozen=True)
class ObjectPredictor:
    """Predicts objects of pictures that were read.

    Attributes:
        model: any detector of mmdet, in evaluation mode.
        score: what is less sure is left out.
        windows: None: a detector sees whole pictures.
    """

    model: nn.Module
    score: float
    windows: None = None

    def asked_for(self, details: Details) -> "ObjectPredictor":
        """The same predictor: there are no details of objects.

        Raises:
            ValueError: for any.
        """
        if details != LABELS:
            asked = [name for name, value in asdict(details).items() if value]
            raise ValueError(f"{', '.join(asked)}: for label maps; objects come without")
        return self

    def __call__(self, batch: Sequence[Read]) -> list[Objects]:
        """Predict pictures."""
        return predict_objects(self.model, [one.item for one in batch], self.score)


@torch.no_grad()
def predict_objects(model: nn.Module, items: Sequence[dict], score: float) -> list[Objects]:
    """Predict pictures that a test pipeline has prepared.

    Args:
        model: any detector of mmdet.
        items: `inputs` and `data_samples` of each.
        score: what is less sure is left out.
    """
    return [objects_of(sample, score) for sample in model.test_step(pseudo_collate(list(items)))]


def objects_of(sample: Any, score: float) -> Objects:
    """Take the objects out of a data sample that a detector has filled."""
    found = sample.pred_instances
    found = found[found.scores >= score]
    found = found[found.scores.argsort(descending=True)].cpu()
    masks = found.masks.numpy() if "masks" in found else None
    return Objects(
        tuple(sample.ori_shape[:2]),
        found.bboxes.numpy(),
        found.labels.numpy(),
        found.scores.numpy(),
        [] if masks is None else encode_masks(masks),
    )


def encode_masks(masks: np.ndarray) -> list[dict]:
    """Encode (R, H, W) masks in COCO's compressed runs."""
    from pycocotools.mask import encode  # mmdet's: it is there where it is needed

    if not len(masks):
        return []
    runs = encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
    return [dict(size=list(run["size"]), counts=run["counts"].decode("ascii")) for run in runs]


def decode_mask(runs: dict) -> np.ndarray:
    """Decode a mask, (H, W) uint8."""
    from pycocotools.mask import decode

    return decode(runs)


@dataclass(frozen=True)
class WantedObjects:
    """Which files are written, and how: `instances/`, and `overlays/` if asked.

    Attributes:
        classes: their names.
        palette: their colours, (R, G, B) from 0 to 255.
        score: what is less sure is left out.
        overlays: write painted pictures.
    """

    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    score: float
    overlays: bool = False

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: for a score out of range.
        """
        if not 0 <= self.score <= 1:
            raise ValueError(f"score must lie in [0, 1], got {self.score}")

    def kinds(self) -> list[str]:
        """Name the folders; objects come last, so that they are there when all is."""
        return [*(["overlays"] if self.overlays else []), "instances"]

    def predictor(self, model: nn.Module, windows: None = None) -> ObjectPredictor:
        """Predict what is written, by a model; a detector sees whole pictures."""
        return ObjectPredictor(model, self.score)

    def write(self, kind: str, path: Path, found: Objects, pixels: object, mark: str) -> None:
        """Write a file of a picture.

        Raises:
            OSError: if it cannot be written.
            ValueError: if the picture is too large for the format.
        """
        if kind == "overlays":
            write_overlay(path, paint_objects(pixels, found, self.classes, self.palette), mark)
        else:
            write_objects(path, found, self.classes, mark)


def write_objects(
    path: str | Path, found: Objects, classes: Sequence[str], mark: str | None = None
) -> None:
    """Write the objects of a picture as JSON, whole or not at all; missing folders are made.

    `instances` has a dict for each, as in COCO's results: `category_id`, from 0, `category`, its
    name, `bbox` (left, top, width, height; pixels), `score` and `segmentation` (compressed runs).

    Args:
        path: ends in .json.
        found: the objects.
        classes: names.
        mark: ASCII text that the file holds besides, for `has_mark`.

    Raises:
        OSError: if the file cannot be written.
    """
    instances = [
        dict(
            category_id=int(label),
            category=classes[label] if label < len(classes) else str(label),
            bbox=[round(float(side), 2) for side in (*box[:2], *(box[2:] - box[:2]))],
            score=round(float(score), 5),
            **(dict(segmentation=found.masks[number]) if found.masks else {}),
        )
        for number, (box, label, score) in enumerate(
            zip(found.boxes, found.labels, found.scores, strict=True)
        )
    ]
    marked = {} if mark is None else dict(mark=mark)
    text = json.dumps(marked | dict(height=found.size[0], width=found.size[1], instances=instances))
    with whole_file(path) as file:
        file.write(text.encode())


def paint_objects(
    pixels: np.ndarray,
    found: Objects,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> np.ndarray:
    """Paint objects over a picture, the surest one last: mask, box, class and score.

    Args:
        pixels: (H, W), (H, W, 1) or (H, W, C), blue first, as a picture is loaded.
        found: the objects.
        classes: names.
        palette: the classes' colours, (R, G, B) from 0 to 255. Objects of a class differ a little.

    Returns:
        (H, W, 3), uint8, blue first.
    """
    picture = as_color(pixels).copy()
    height, width = picture.shape[:2]
    for number in reversed(range(len(found.labels))):
        label = int(found.labels[number])
        color = _shade(palette[label % len(palette)], number)
        box = found.boxes[number].round().astype(int)
        left, right = np.clip(box[[0, 2]], 0, width - 1).tolist()
        top, bottom = np.clip(box[[1, 3]], 0, height - 1).tolist()
        if found.masks:
            # A mask does not reach over its box by more than a pixel.
            rows = slice(max(0, top - 1), bottom + 2)
            columns = slice(max(0, left - 1), right + 2)
            inside = decode_mask(found.masks[number])[rows, columns] > 0
            part = picture[rows, columns]
            mixed = part[inside] * (1 - _OPACITY) + np.array(color) * _OPACITY
            part[inside] = mixed.round().astype(np.uint8)
        cv2.rectangle(picture, (left, top), (right, bottom), color)
        name = classes[label] if label < len(classes) else str(label)
        place = (left + 1, max(top - 2, 9))
        for paint, thickness in (((0, 0, 0), 2), ((255, 255, 255), 1)):
            cv2.putText(
                picture, f"{name} {found.scores[number]:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX,
                _LETTERS, paint, thickness, cv2.LINE_AA,
            )  # fmt: skip
    return picture


def _shade(color: Sequence[int], number: int) -> tuple[int, int, int]:
    """Make a colour darker by a step that depends on the object's number; blue first."""
    part = 1 - 0.12 * (number % 4)
    red, green, blue = (int(value * part) for value in color)
    return blue, green, red
