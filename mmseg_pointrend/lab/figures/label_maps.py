"""A picture of a rendered label map: image, truth, coarse and rendered labels, the points."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.prediction import load_model
from mmseg_pointrend.evaluation.functional import trimap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Half width of the band in which scenes are compared, pixels.
BAND = 2
#: Width of one of three panels side by side, height of a title, inches; size of letters, points: in
#: a page 800 pixels wide that of its text.
PANEL_WIDTH, TITLE, LETTERS = 3.7, 0.34, 16


@torch.no_grad()
def draw_label_maps(
    config_path: str | Path,
    checkpoint: str | Path,
    picture: str | Path,
    options: dict | None = None,
) -> None:
    """Draw how a model renders one scene of its test data.

    The scene is the one whose gain (rendered over coarse, in correct pixels near boundaries) is the
    median of all scenes, so it is neither the best nor the worst; enlarged is the window that gains
    most in mean accuracy of the classes, to show what the gain consists of. Percentages are of the
    pixels of the whole scene within 2 px of a boundary that are right.

    Args:
        config_path: config of a PointRend model.
        checkpoint: its weights.
        picture: PNG file to write.
        options: dotted config keys and values that override the file.

    Raises:
        FileNotFoundError: if the config or the checkpoint does not exist.
    """
    config = prepare_config(config_path, options=options)
    model = load_model(config, checkpoint, device="cpu")
    dataset = DATASETS.build(config.test_dataloader.dataset)
    gains = [_gain(_trace(model, dataset[index])) for index in range(len(dataset))]
    median = sorted(range(len(gains)), key=gains.__getitem__)[len(gains) // 2]
    _draw(_trace(model, dataset[median]), dataset.metainfo["palette"], Path(picture))


def _trace(model: torch.nn.Module, item: dict) -> dict:
    """Predict one image and keep what happened on the way, at the size of the truth, (H, W)."""
    model.predict_coarse = True
    (sample,) = model.test_step(
        pseudo_collate([dict(item, data_samples=item["data_samples"].clone())])
    )
    batch = model.data_preprocessor(pseudo_collate([item]), training=False)
    _, steps = model.decode_head.render_steps(model.extract_feat(batch["inputs"]))
    truth = item["data_samples"].gt_sem_seg.data[0]
    # Of the network's input, padding included, as points are; in the pixels of the truth.
    inner, padded = item["inputs"].shape[1:], batch["inputs"].shape[2:]
    scale = [padded[axis] / inner[axis] * truth.shape[axis] for axis in (1, 0)]
    return dict(
        image=item["inputs"].permute(1, 2, 0).numpy()[..., ::-1],
        truth=truth,
        coarse=sample.coarse_sem_seg.data[0].cpu(),
        rendered=sample.pred_sem_seg.data[0].cpu(),
        points=[step.points[0] * torch.tensor(scale) for step in steps],
    )


def _accuracy(trace: dict, name: str) -> float:
    """Share of the pixels near boundaries that a prediction has right, percent."""
    band = trimap(trace["truth"][None], BAND)[0]
    return 100 * float((trace[name] == trace["truth"])[band].float().mean())


def _gain(trace: dict) -> float:
    return _accuracy(trace, "rendered") - _accuracy(trace, "coarse")


def _zoom_window(trace: dict) -> tuple[int, int, int, int]:
    """Find the window, a quarter of the image wide and high, that gains most.

    A pixel that becomes right counts the more, the fewer its class has: the window is the one that
    adds most to the mean accuracy of the scene's classes.
    """
    coarse, rendered = ((trace[name] == trace["truth"]) for name in ("coarse", "rendered"))
    height, width = (max(1, side // 4) for side in coarse.shape)
    pixels = torch.bincount(trace["truth"].flatten())[trace["truth"]]
    gain = ((rendered.float() - coarse.float()) / pixels)[None]
    density = torch.nn.functional.avg_pool2d(gain, (height, width), stride=1)[0]
    top, left = divmod(int(density.argmax()), density.shape[1])
    return top, left, height, width


def _draw(trace: dict, palette: list, picture: Path) -> None:
    """Draw the whole picture and its rendered labels; beside them, four times, the window."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    colors = np.zeros((256, 3), np.uint8)
    colors[: len(palette)] = palette
    labels = {name: colors[trace[name].numpy()] for name in ("truth", "coarse", "rendered")}
    right = {
        name: f"{name}: {_accuracy(trace, name):.1f} % right" for name in ("coarse", "rendered")
    }
    window = _zoom_window(trace)
    top, left, height, width = window
    figure = Figure(
        figsize=(3 * PANEL_WIDTH, 2 * (PANEL_WIDTH * height / width + TITLE)),
        dpi=150,
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0)
    axes = figure.subplots(2, 3)
    for axis, (title, image, place) in zip(
        axes.flat,
        (
            ("picture", trace["image"], None),
            ("points of each step", trace["image"], window),
            ("truth", labels["truth"], window),
            ("rendered", labels["rendered"], None),
            (right["coarse"], labels["coarse"], window),
            (right["rendered"], labels["rendered"], window),
        ),
        strict=True,
    ):
        _show(axis, title, image, trace["truth"].shape, place)
    for axis in axes[:, 0]:
        axis.add_patch(Rectangle((left, top), width, height, fill=False, color="white", lw=2.5))
    _draw_points(axes[0, 1], trace["points"])
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture)


def _show(
    axis: "Axes",
    title: str,
    image: np.ndarray,
    shape: tuple[int, int],
    window: tuple[int, int, int, int] | None,
) -> None:
    """Show an image, stretched to the (H, W) of the truth, or a window of it."""
    top, left, height, width = window or (0, 0, *shape)
    axis.set_axis_off()
    axis.imshow(image, extent=(0, shape[1], shape[0], 0), interpolation="nearest")
    axis.set(xlim=(left, left + width), ylim=(top + height, top))
    axis.set_title(title, fontsize=LETTERS)


def _draw_points(axis: "Axes", steps: list[torch.Tensor]) -> None:
    """Draw the points of each step as discs: the later, the smaller and the stronger."""
    from matplotlib.collections import EllipseCollection

    for number, points in enumerate(steps, 1):
        # A step's grid is twice as fine as that of the step before.
        diameter = 0.6 * 2 ** (len(steps) - number)
        axis.add_collection(
            EllipseCollection(
                diameter,
                diameter,
                0,
                units="xy",
                offsets=points.numpy(),
                offset_transform=axis.transData,
                facecolors="#ff2fd0",
                alpha=0.25 + 0.75 * number / len(steps),
                linewidths=0,
            )
        )
