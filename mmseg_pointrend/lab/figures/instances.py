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
from mmseg_pointrend.lab.figures.compared_objects import FOUND, ComparedObject, compared_objects
from mmseg_pointrend.lab.figures.comparison import NothingToDrawError

#: Objects in a picture, each of another scene.
ROWS = 4
#: Side of an enlarged window, and height of a title, inches.
PANEL, TITLE = 2.3, 0.3
#: How much of a painted pixel is the object's colour.
OPACITY = 0.5


@torch.no_grad()
def draw_instances(
    config_path: str | Path,
    checkpoint: str | Path,
    picture: str | Path,
    baseline: tuple[str | Path, str | Path] | None = None,
    options: dict | None = None,
) -> None:
    """Draw masks of objects of the test data, enlarged where they differ.

    Of each picture, the object is taken whose two masks differ in most pixels, among the objects
    that both models have found, with boxes close to the truth's; of these the ones that differ
    most are drawn. So they show what another mask makes of the same box, for better or worse: the
    IoU with the truth stands above each mask.

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
    chosen = []
    for index, (rendered, other) in enumerate(zip(predicted, others, strict=True)):
        objects = compared_objects(dataset, index, rendered, other)
        best = max(objects, key=lambda shown: shown.difference.sum(), default=None)
        if best is not None:
            chosen.append(best)
    if not chosen:
        raise NothingToDrawError(
            f"no picture: in {len(dataset)} pictures no object is found with a box of IoU >= "
            f"{FOUND}; train for longer"
        )
    chosen.sort(key=lambda shown: shown.difference.sum(), reverse=True)
    _draw(chosen[:ROWS], dataset.metainfo, Path(picture))


def _predictions(
    config: Config, checkpoint: str | Path, dataset: Dataset
) -> Iterator[InstanceData]:
    """Yield what a detector is sure of in each picture, in numpy."""
    model = load_model(config, checkpoint, device="cpu")
    for item in dataset:
        (result,) = model.test_step(pseudo_collate([item]))
        found = result.pred_instances
        yield found[found.scores >= DEFAULT_SCORE].numpy()


def _draw(rows: Sequence[ComparedObject], meta: dict, picture: Path) -> None:
    """Draw a row for each object: its picture, then the window with each of its masks."""
    from matplotlib.figure import Figure

    height, width = rows[0].image.shape[:2]
    ratios = [width / height, *[1] * len(rows[0].masks)]
    figure = Figure(
        figsize=(PANEL * sum(ratios), (PANEL + TITLE) * len(rows)), dpi=110, layout="constrained"
    )
    axes = figure.subplots(len(rows), len(ratios), squeeze=False, width_ratios=ratios)
    for shown, row in zip(rows, axes, strict=True):
        _draw_row(shown, row, meta)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture)


def _draw_row(shown: ComparedObject, axes: Sequence, meta: dict) -> None:
    from matplotlib.patches import Rectangle

    for axis in axes:
        axis.set_axis_off()
    whole, *panels = axes
    color = np.array(meta["palette"][shown.label])
    top, left, side = shown.window()
    whole.imshow(_paint(shown.image, shown.masks["truth"], color))
    whole.add_patch(Rectangle((left, top), side, side, fill=False, color="white", linewidth=2))
    whole.set_title(meta["classes"][shown.label])
    for (title, mask), axis in zip(shown.masks.items(), panels, strict=True):
        axis.imshow(_paint(shown.image, mask, color), interpolation="nearest")
        axis.set(xlim=(left - 0.5, left + side - 0.5), ylim=(top + side - 0.5, top - 0.5))
        axis.set_title(title if title == "truth" else f"{title}: IoU {shown.iou(title):.0f} %")


def _paint(image: np.ndarray, mask: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Mix a colour into the pixels of a mask."""
    painted = image.copy()
    painted[mask] = (image[mask] * (1 - OPACITY) + color * OPACITY).round()
    return painted
