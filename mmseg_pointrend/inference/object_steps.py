"""What each step of the rendering of objects' masks does, in a window around each object."""

import math
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from mmseg_pointrend.core import Place, decide_by_probability
from mmseg_pointrend.inference.predictor import RenderingStep
from mmseg_pointrend.inference.reading import Read

#: Space around a box, as a share of its longer side.
_MARGIN = 0.15


class ObjectSteps(NamedTuple):
    """An object, and the steps of its mask.

    Attributes:
        label: its class.
        score: how sure the detector is, from 0 to 1.
        window: the rows and columns of the picture that are shown.
        steps: of the window: the coarse mask, then each subdivision step; label 1 is the object.
    """

    label: int
    score: float
    window: tuple[slice, slice]
    steps: list[RenderingStep]


@torch.no_grad()
def predict_object_steps(model: nn.Module, read: Read, score: float) -> list[ObjectSteps]:
    """Predict the objects of a picture, and show how their masks were rendered.

    The masks are rendered a second time for it; of a cascade those of the last stage are shown.

    Args:
        model: a detector of mmdet with PointRend, in evaluation mode.
        read: the picture.
        score: what is less sure is left out.

    Returns:
        the objects, the surest first.

    Raises:
        ValueError: for a detector without PointRend.
    """
    branch = getattr(model, "roi_head", None)
    if not hasattr(branch, "mask_steps"):
        raise ValueError(
            "steps are those of a detector with PointRend (model.roi_head.type="
            f"'PointRendStandardRoIHead' or its cascade), got {type(branch).__name__}"
        )
    data = model.data_preprocessor(pseudo_collate([read.item]), False)
    inputs, (sample,) = data["inputs"], data["data_samples"]
    (found,) = model.predict(inputs, [sample], rescale=False)
    objects = found.pred_instances
    objects = objects[objects.scores >= score]
    objects = objects[objects.scores.argsort(descending=True)]
    if not len(objects):
        return []
    boxes, labels = objects.bboxes, objects.labels
    coarse, steps = branch.mask_steps(model.extract_feat(inputs), boxes, labels)
    across, down = map(float, sample.metainfo.get("scale_factor", (1.0, 1.0)))
    boxes = boxes / boxes.new_tensor([across, down, across, down])
    threshold = branch.test_cfg.mask_thr_binary
    windows = [_window(box, sample.ori_shape[:2]) for box in boxes.tolist()]
    rendered: list[list[RenderingStep]] = [[] for _ in windows]
    for logits, points, refined in _after_each(coarse, steps):
        for number, window in enumerate(windows):
            own = points[number][refined[number]]
            step = _in_window(logits[number], own, boxes[number], window, threshold)
            rendered[number].append(step)
    scores = objects.scores.tolist()
    return list(map(ObjectSteps, labels.tolist(), scores, windows, rendered))


def _after_each(coarse: Tensor, steps: Iterator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield (R, 1, h, w) logits, (R, P, 2) points and which of them count, after each step."""
    none = coarse.new_zeros(len(coarse), 0)
    before = (coarse, none[..., None].expand(-1, -1, 2), none.bool())
    yield from chain([before], ((step.logits, step.points, step.refined) for step in steps))


def _window(box: list[float], size: tuple[int, int]) -> tuple[slice, slice]:
    """Find the rows and columns around a box, (left, top, right, bottom)."""
    left, top, right, bottom = box
    margin = _MARGIN * max(right - left, bottom - top) + 1
    found = []
    for first, last, side in ((top, bottom, size[0]), (left, right, size[1])):
        start = min(max(0, math.floor(first - margin)), side - 1)
        found.append(slice(start, max(start + 1, min(side, math.ceil(last + margin)))))
    return found[0], found[1]


def _in_window(
    logits: Tensor,
    points: Tensor,
    box: Tensor,
    window: tuple[slice, slice],
    threshold: float,
) -> RenderingStep:
    """Put (1, h, w) logits of a box, and (P, 2) points in its frame, where they lie in a window."""
    rows, columns = window
    corner = box.new_tensor([columns.start, rows.start] * 2)
    place = Place((box - corner)[None], rows.stop - rows.start, columns.stop - columns.start)
    probability = place.apply(logits[None].float().sigmoid())
    labels = decide_by_probability(probability, threshold)[0]
    sure = torch.where(labels.bool(), probability[0, 0], 1 - probability[0, 0])
    sides, start = box[2:] - box[:2], (box - corner)[:2]
    moved = points * sides + start
    labels = labels.cpu().numpy().astype(np.uint8)
    both = torch.stack([sure, 1 - sure]).mul(255).round().byte().cpu().numpy()
    return RenderingStep(labels, 1 - labels, both, moved.float().cpu().numpy())
