"""A picture of instance masks: truth, baseline, PointRend's coarse masks and its rendered ones."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch.utils.data import Dataset

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.apis.tasks.instance import DEFAULT_SCORE, predict_coarse_masks
from mmseg_pointrend.lab.figures.compared_objects import ComparedObject, compared_objects
from mmseg_pointrend.lab.figures.comparison import NothingToDrawError

#: Objects that are drawn, each of another class.
ROWS = 4
#: Side of an enlarged window and height of a title, inches; size of its letters, points.
PANEL, TITLE, LETTERS = 2.3, 0.3, 14
#: Colour of masks, which no thing has, and how much of it a painted pixel has.
COLOR, OPACITY = (255, 47, 208), 0.5


@torch.no_grad()
def draw_instances(
    config_path: str | Path,
    checkpoint: str | Path,
    picture: str | Path,
    baseline: tuple[str | Path, str | Path] | None = None,
    options: dict | None = None,
) -> None:
    """Draw masks of objects of the test data, enlarged where they differ.

    Of each class, the object is taken whose two masks differ in most pixels, among the objects that
    both models have found; of these the ones that differ most are drawn. So they are chosen for how
    much another mask changes, for better or worse: the IoU with the truth stands above each mask.

    Args:
        config_path: config of a detector with a `PointRendMaskHead`.
        checkpoint: its weights.
        picture: PNG file to write.
        baseline: config and weights of a detector without PointRend, for the same data; by default
            PointRend's masks are compared with its coarse ones.
        options: dotted config keys and values that override the files.

    Raises:
        FileNotFoundError: if a config or a checkpoint does not exist.
        NothingToDrawError: if there is no such object.
    """
    config = prepare_config(config_path, options=options)
    predict_coarse_masks(config)
    dataset = DATASETS.build(config.test_dataloader.dataset)
    predicted = _predictions(config, checkpoint, dataset)
    others: Iterable[InstanceData | None] = [None] * len(dataset)
    if baseline is not None:
        others = _predictions(prepare_config(baseline[0], options=options), baseline[1], dataset)
    chosen: dict[int, ComparedObject] = {}
    for index, (rendered, other) in enumerate(zip(predicted, others, strict=True)):
        for shown in compared_objects(dataset, index, rendered, other):
            best = chosen.setdefault(shown.label, shown)
            if shown.difference.sum() > best.difference.sum():
                chosen[shown.label] = shown
    if not chosen:
        raise NothingToDrawError(
            f"no picture: in {len(dataset)} pictures no object is found; train for longer"
        )
    rows = sorted(chosen.values(), key=lambda shown: shown.difference.sum(), reverse=True)
    _draw(rows[:ROWS], dataset.metainfo["classes"], Path(picture))


def _predictions(
    config: Config, checkpoint: str | Path, dataset: Dataset
) -> Iterator[InstanceData]:
    """Yield what a detector is sure of in each picture, in numpy."""
    model = load_model(config, checkpoint, device="cpu")
    for item in dataset:
        (result,) = model.test_step(pseudo_collate([item]))
        found = result.pred_instances
        yield found[found.scores >= DEFAULT_SCORE].numpy()


def _draw(rows: Sequence[ComparedObject], classes: Sequence[str], picture: Path) -> None:
    """Draw a row for each object: its picture, then the window with each of its masks."""
    from matplotlib.figure import Figure

    height, width = rows[0].image.shape[:2]
    ratios = [width / height, *[1] * len(rows[0].masks)]
    figure = Figure(
        figsize=(PANEL * sum(ratios), (PANEL + TITLE) * len(rows)), dpi=110, layout="constrained"
    )
    axes = figure.subplots(len(rows), len(ratios), squeeze=False, width_ratios=ratios)
    for shown, row in zip(rows, axes, strict=True):
        _draw_row(shown, row, classes[shown.label])
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture)


def _draw_row(shown: ComparedObject, axes: Sequence, name: str) -> None:
    from matplotlib.patches import Rectangle

    for axis in axes:
        axis.set_axis_off()
    whole, *panels = axes
    top, left, side = shown.window()
    whole.imshow(_paint(shown.image, shown.masks["truth"]))
    whole.add_patch(Rectangle((left, top), side, side, fill=False, color="white", linewidth=2))
    whole.set_title(name, fontsize=LETTERS)
    for (title, mask), axis in zip(shown.masks.items(), panels, strict=True):
        axis.imshow(_paint(shown.image, mask), interpolation="nearest")
        axis.set(xlim=(left - 0.5, left + side - 0.5), ylim=(top + side - 0.5, top - 0.5))
        iou = "" if title == "truth" else f": IoU {shown.iou(title):.0%}"
        axis.set_title(title + iou, fontsize=LETTERS)


def _paint(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mix the colour of masks into the pixels of one."""
    painted = image.copy()
    painted[mask] = (image[mask] * (1 - OPACITY) + np.array(COLOR) * OPACITY).round()
    return painted
