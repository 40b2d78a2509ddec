"""A picture of a rendered label map: image, truth, coarse and rendered labels, the points."""

from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.prediction import load_model
from mmseg_pointrend.evaluation.functional import trimap

#: Half width of the band in which scenes are compared, pixels.
BAND = 2
#: Panels side by side, and the width of one, inches.
COLUMNS = 4
PANEL_WIDTH = 3.3


@torch.no_grad()
def draw_label_maps(
    config_path: str | Path,
    checkpoint: str | Path,
    picture: str | Path,
    options: dict | None = None,
) -> None:
    """Draw how a model renders one scene of its test data.

    The scene is the one whose gain (rendered over coarse, in correct pixels near boundaries) is the
    median of all scenes, so it is neither the best nor the worst; enlarged is the window
    that gains most, to show what the gain consists of.

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
    """Find the window, a quarter of the image wide and high, that gains most correct pixels."""
    coarse, rendered = ((trace[name] == trace["truth"]) for name in ("coarse", "rendered"))
    height, width = (max(1, side // 4) for side in coarse.shape)
    gain = (rendered.float() - coarse.float())[None]
    density = torch.nn.functional.avg_pool2d(gain, (height, width), stride=1)[0]
    top, left = divmod(int(density.argmax()), density.shape[1])
    return top, left, height, width


def _draw(trace: dict, palette: list, picture: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    colors = np.zeros((256, 3), np.uint8)
    colors[: len(palette)] = palette
    right = {name: round(_accuracy(trace, name), 1) for name in ("coarse", "rendered")}
    panels = [
        ("image", trace["image"], None),
        ("truth", colors[trace["truth"].numpy()], None),
        (
            f"coarse: {right['coarse']} % right near boundaries",
            colors[trace["coarse"].numpy()],
            None,
        ),
        (
            f"rendered: {right['rendered']} % right near boundaries",
            colors[trace["rendered"].numpy()],
            None,
        ),
    ]
    for number, points in enumerate(trace["points"], 1):
        panels.append((f"step {number}: {len(points)} points", trace["image"], points.numpy()))
    shape = trace["truth"].shape
    top, left, height, width = _zoom_window(trace)

    # Whole pictures above, the window enlarged below, in the same order.
    rows = -(-len(panels) // COLUMNS)
    panel_height = PANEL_WIDTH * shape[0] / shape[1] + 0.3
    figure = Figure(figsize=(PANEL_WIDTH * COLUMNS, panel_height * 2 * rows), dpi=110)
    axes = figure.subplots(2 * rows, COLUMNS, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (title, image, points) in enumerate(panels):
        row, column = divmod(number, COLUMNS)
        for enlarged, axis in enumerate((axes[row, column], axes[rows + row, column])):
            axis.imshow(image, extent=(0, shape[1], shape[0], 0), interpolation="nearest")
            if points is not None:
                axis.scatter(*points.T, s=6 if enlarged else 0.8, c="#ff2fd0", linewidths=0)
            if enlarged:
                axis.set(xlim=(left, left + width), ylim=(top + height, top))
            else:
                axis.set(xlim=(0, shape[1]), ylim=(shape[0], 0))
                axis.add_patch(Rectangle((left, top), width, height, fill=False, color="white"))
            axis.set_title(
                title.partition(":")[0] + ", enlarged" if enlarged else title, fontsize=10
            )
    figure.tight_layout(pad=0.4)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture)
