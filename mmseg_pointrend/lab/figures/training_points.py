"""A picture of the strategies for choosing training points, like the paper's Fig. 5."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mmengine.dataset import pseudo_collate
from torch import Tensor

from mmseg_pointrend.apis.configs import is_pointrend, prepare_config
from mmseg_pointrend.apis.prediction import load_model
from mmseg_pointrend.apis.tasks import refuse_instances
from mmseg_pointrend.core import (
    TRAINING_STRATEGIES,
    Resize,
    TrainingPoints,
    decide,
    logit_margin,
    select_training_points,
)
from mmseg_pointrend.inference.images import check_image
from mmseg_pointrend.inference.reading import apply_test_pipeline, test_pipeline
from mmseg_pointrend.lab.scenes.logits import scene_logits

#: 14^2, as in the paper's figure.
NUM_POINTS = 196
#: The generated scene: which one, how many classes, and its coarse grid.
_SCENE = dict(seed=2, num_classes=9, size=(64, 64))

_ENDINGS = (".png", ".pdf", ".svg")
#: Width of a panel, and the space above and below it for words, inches.
_PANEL_WIDTH, _WORDS = 3.2, 1.25
_FONT = 15
#: Pixels that the longer side of the drawn prediction has at least.
_DRAWN_SIDE = 512
#: Soft colours, without the red that would swallow the points.
_PALETTE = [color for i, color in enumerate(colormaps["Set3"].colors) if i != 3]
_IMPORTANT, _OTHER = "#c2003c", "#1f2430"


@dataclass(frozen=True)
class CoarsePrediction:
    """What the strategies choose from.

    Attributes:
        logits: (1, K, h, w).
        margin: (1, K, ...) logits -> (1, ...) margins.
        threshold: with K = 1, the probability above which a pixel is class 1.
    """

    logits: Tensor
    margin: Callable[[Tensor], Tensor]
    threshold: float | None = None


def draw_training_points(
    out: str | Path,
    config_path: str | Path | None = None,
    checkpoint: str | Path | None = None,
    image: str | Path | None = None,
    num_points: int = NUM_POINTS,
    seed: int = 0,
    device: str | None = None,
    options: dict | None = None,
) -> None:
    """Draw the points that each strategy chooses for one coarse prediction.

    The prediction is a model's, for an image at the size of the network's input, or by default that
    of a generated scene (`lab.scenes.scene_logits`).

    Args:
        out: picture to write, .png, .pdf or .svg; missing folders are made.
        config_path: config of a PointRend model.
        checkpoint: its weights.
        image: image file.
        num_points: N.
        seed: seed of the random points, the same for every strategy.
        device: where the model runs; by default a GPU if torch sees one.
        options: dotted config keys and values that override the file.

    Raises:
        FileNotFoundError: if the config, the checkpoint or the image does not exist.
        ValueError: if some of the three are missing, for a model without PointRend, a damaged
            image, or settings out of range.
    """
    out = Path(out)
    if out.suffix.lower() not in _ENDINGS:
        raise ValueError(f"out must end in one of {', '.join(_ENDINGS)}, got {out}")
    sources = dict(config=config_path, checkpoint=checkpoint, image=image)
    missing = [name for name, value in sources.items() if value is None]
    if missing and len(missing) < len(sources):
        raise ValueError(
            f"config, checkpoint and image belong together; missing: {', '.join(missing)}"
        )
    if missing:
        if options:
            raise ValueError(f"options are for a config, and there is none: {options}")
        coarse = _predict_scene()
    else:
        coarse = _predict_image(config_path, checkpoint, image, device, options)
    figure = draw_strategies(coarse, num_points, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)


def choose_points(coarse: CoarsePrediction, num_points: int, seed: int) -> dict[str, Tensor]:
    """Choose points by every strategy, each from a generator of its own with the same seed.

    Returns:
        name of the strategy -> (num_points, 2), (x, y) in [0, 1).

    Raises:
        ValueError: for `num_points` < 1.
    """
    return {
        strategy: select_training_points(
            coarse.logits,
            TrainingPoints(num_points, strategy),
            coarse.margin,
            generator=torch.Generator().manual_seed(seed),
        )[0]
        for strategy in TRAINING_STRATEGIES
    }


def draw_strategies(coarse: CoarsePrediction, num_points: int, seed: int) -> Figure:
    """Draw the coarse prediction, and beside it the points of each strategy on it.

    Args:
        coarse: the prediction; colours fade to white where it is uncertain.
        num_points: N.
        seed: seed of the random points.

    Returns:
        the figure, not yet written.

    Raises:
        ValueError: for `num_points` < 1.
    """
    chosen = choose_points(coarse, num_points, seed)
    height, width = coarse.logits.shape[2:]
    picture = _paint(coarse)
    columns = 1 + len(chosen)
    figure = Figure(
        figsize=(_PANEL_WIDTH * columns, _PANEL_WIDTH * height / width + _WORDS),
        layout="constrained",
    )
    figure.get_layout_engine().set(rect=(0, 0, 1, 0.97))
    panels = figure.subplots(1, columns)
    for panel in panels:
        panel.imshow(picture, extent=(0, width, height, 0), interpolation="nearest")
        panel.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
        for side in panel.spines.values():
            side.set_color("#b8bcc6")
    panels[0].set_title("coarse prediction\nwhite: uncertain", fontsize=_FONT)
    for panel, (strategy, points) in zip(panels[1:], chosen.items(), strict=True):
        _draw_points(panel, strategy, points * torch.tensor([width, height]))
    figure.legend(
        handles=[
            _dot(_IMPORTANT, "the \u03b2N most uncertain of kN random points"),
            _dot(_OTHER, f"the others of N = {num_points}"),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=_FONT,
    )
    return figure


def _draw_points(panel: Axes, strategy: str, points: Tensor) -> None:
    bias = TRAINING_STRATEGIES[strategy]
    title, important = strategy.replace("-", " "), 0
    if bias is None:
        title += "\n"
    else:
        important = bias.count_important(len(points))
        k, beta = bias.oversample_ratio, bias.importance_sample_ratio
        title += f"\nk = {k:g}, \u03b2 = {beta:g}"
    panel.set_title(title, fontsize=_FONT)
    for color, part in ((_OTHER, points[important:]), (_IMPORTANT, points[:important])):
        panel.scatter(*part.T.numpy(), s=16, c=color, edgecolors="white", linewidths=0.4)


def _dot(color: str, label: str) -> Line2D:
    return Line2D([], [], color=color, marker="o", markersize=7, linestyle="none", label=label)


def _paint(coarse: CoarsePrediction) -> np.ndarray:
    """Paint the classes, interpolated as the points see them: (H, W, 3) in [0, 1]."""
    sides = coarse.logits.shape[2:]
    finer = max(1, -(-_DRAWN_SIDE // max(sides)))
    logits = Resize(finer * sides[0], finer * sides[1]).apply(coarse.logits)
    palette = torch.tensor(_PALETTE)
    colors = palette[decide(logits, coarse.threshold)[0] % len(palette)]
    margins = coarse.margin(logits)[0]
    certainty = (margins / margins.median().clamp(min=1e-6)).clamp(max=1).unsqueeze(2)
    return (1 - certainty * (1 - colors)).numpy()


def _predict_scene() -> CoarsePrediction:
    logits = torch.from_numpy(scene_logits(**_SCENE)).unsqueeze(0)
    return CoarsePrediction(logits, logit_margin)


@torch.no_grad()
def _predict_image(
    config_path: str | Path,
    checkpoint: str | Path,
    image: str | Path,
    device: str | None,
    options: dict | None,
) -> CoarsePrediction:
    config = prepare_config(config_path, options=options)
    refuse_instances(config, "draw_training_points")
    check_image(image)  # before the model is built
    model = load_model(config, checkpoint, device)
    head = model.decode_head
    if not is_pointrend(model):
        raise ValueError(
            f"config {config_path} has no PointRend: model.decode_head is {type(head).__name__}"
        )
    item = apply_test_pipeline(test_pipeline(config), image)
    inputs = model.data_preprocessor(pseudo_collate([item]), training=False)["inputs"]
    logits = head.coarse_prediction(model.extract_feat(inputs)).float().cpu()
    return CoarsePrediction(logits, head.margin, head.threshold)
