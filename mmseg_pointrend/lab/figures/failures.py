"""Where rendering makes the coarse map worse: what is lost, and a picture of the largest losses."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from mmseg_pointrend.apis.configs import is_pointrend, load_config
from mmseg_pointrend.apis.tasks import refuse_instances
from mmseg_pointrend.evaluation.functional import trimaps
from mmseg_pointrend.lab.labelled_pictures import load_test, true_labels

#: Side of a window, as a share of the picture's height and width.
WINDOW = 1 / 4
#: Distances to a boundary by which losses are counted, pixels.
WIDTHS = (2, 8)
#: How changed pixels are painted: became right, became wrong, wrong before and after.
GAINED, LOST, OTHER = (0, 158, 115), (213, 50, 50), (240, 228, 66)


@dataclass(frozen=True)
class Change:
    """What rendering changes in one picture.

    Attributes:
        name: of the picture's file.
        image: (h, w, 3), uint8, red first, as the network was given it.
        truth: (H, W) labels.
        coarse: (H, W) labels by the coarse logits.
        rendered: (H, W) labels.
        known: (H, W) bool, pixels whose truth is known.
    """

    name: str
    image: np.ndarray
    truth: Tensor
    coarse: Tensor
    rendered: Tensor
    known: Tensor

    @property
    def gained(self) -> Tensor:
        """(H, W) bool: right only since the rendering."""
        return self.known & (self.coarse != self.truth) & (self.rendered == self.truth)

    @property
    def lost(self) -> Tensor:
        """(H, W) bool: right before the rendering."""
        return self.known & (self.coarse == self.truth) & (self.rendered != self.truth)

    @cached_property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the window that loses most right pixels."""
        loss = self.lost.long() - self.gained.long()
        height, width = (max(1, round(WINDOW * side)) for side in self.truth.shape)
        # Sums of all pixels above and to the left: four of them are a window's.
        sums = torch.nn.functional.pad(loss.cumsum(0).cumsum(1), [1, 0, 1, 0])
        sums = sums[height:] - sums[:-height]
        sums = sums[:, width:] - sums[:, :-width]
        top, left = divmod(int(sums.argmax()), sums.shape[1])
        return slice(top, top + height), slice(left, left + width)

    @property
    def window_loss(self) -> int:
        """How many right pixels fewer the window has."""
        return int(self.lost[self.window].sum() - self.gained[self.window].sum())


@dataclass
class Losses:
    """What rendering gains and loses in all pictures.

    Attributes:
        pictures: how many.
        worse: pictures with fewer right pixels than before.
        gained: pixels that became right.
        lost: pixels that became wrong.
        other: pixels that changed and were wrong before and after.
        near: width in `WIDTHS` -> lost pixels within it of a boundary.
        confusions: (true class, rendered class) -> lost pixels.
    """

    pictures: int = 0
    worse: int = 0
    gained: int = 0
    lost: int = 0
    other: int = 0
    near: Counter = field(default_factory=Counter)
    confusions: Counter = field(default_factory=Counter)

    def add(self, change: Change, ignore_index: int) -> None:
        """Add what happened to a picture."""
        gained, lost = change.gained, change.lost
        changed = change.known & (change.coarse != change.rendered)
        self.pictures += 1
        self.worse += int(lost.sum() > gained.sum())
        self.gained += int(gained.sum())
        self.lost += int(lost.sum())
        self.other += int((changed & ~gained & ~lost).sum())
        bands = trimaps(change.truth[None], WIDTHS, ignore_index)
        for width, band in zip(WIDTHS, bands, strict=True):
            self.near[width] += int((lost & band[0]).sum())
        pairs = zip(change.truth[lost].tolist(), change.rendered[lost].tolist(), strict=True)
        self.confusions.update(pairs)

    def describe(self, classes: Sequence[str], most: int = 5) -> str:
        """Say it in lines."""
        near = ", ".join(
            f"{100 * self.near[width] / max(1, self.lost):.0f} % within {width} px"
            for width in WIDTHS
        )
        lines = [
            f"{self.pictures} pictures, {self.worse} of them with fewer right pixels than before",
            f"pixels that became right {self.gained}, wrong {self.lost}, another wrong class "
            f"{self.other}; of those that became wrong {near} of a boundary",
        ]
        for (true, found), count in self.confusions.most_common(most):
            share = 100 * count / self.lost
            lines.append(f"  {share:4.1f} % are {classes[true]}, taken for {classes[found]}")
        return "\n".join(lines)


def draw_failures(
    config_path: str | Path,
    checkpoint: str | Path,
    picture: str | Path,
    count: int = 6,
    device: str | None = None,
    options: dict | None = None,
) -> str:
    """Draw the windows in which rendering loses most, at most one of each test picture.

    Args:
        config_path: config file of a PointRend model; its test data have labels.
        checkpoint: weights.
        picture: PNG file to write.
        count: how many windows.
        device: where the model runs; by default a GPU if torch sees one.
        options: dotted config keys and values that override the file.

    Returns:
        lines of text: what is gained and lost in all pictures, and in each window.

    Raises:
        FileNotFoundError: if the config, the checkpoint or a data folder does not exist.
        ValueError: for a model without PointRend, no window, or no images or labels.
    """
    config = load_config(config_path, options)
    refuse_instances(config, "the gallery of failures")
    if not is_pointrend(config.model):
        raise ValueError(f"{config_path} has no PointRend head, so there is no rendering to draw")
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}")
    model, dataset = load_test(config_path, checkpoint, device, options)
    classes = dataset.metainfo["classes"]
    losses, worst = find_losses(model, dataset, count)
    _draw(worst, classes, dataset.metainfo.get("palette"), Path(picture))
    shown = [f"{number}. {_describe(one, classes)}" for number, one in enumerate(worst, 1)]
    return "\n".join([losses.describe(classes), *shown])


@torch.no_grad()
def find_losses(
    model: nn.Module, dataset: Sequence[dict], count: int
) -> tuple[Losses, list[Change]]:
    """Count what all pictures gain and lose, and keep those whose windows lose most.

    Args:
        model: a PointRend model in evaluation mode; set to predict its coarse map, too.
        dataset: pictures with labels.
        count: how many to keep.

    Returns:
        the losses, and at most `count` pictures, the largest loss of a window first; none whose
        windows all gain.
    """
    model.predict_coarse = True
    losses, worst, ignored = Losses(), [], model.decode_head.ignore_index
    for index in range(len(dataset)):
        change = _change(model, dataset[index], ignored)
        losses.add(change, ignored)
        if change.window_loss > 0:
            worst = sorted([*worst, change], key=lambda one: -one.window_loss)[:count]
    return losses, worst


def _change(model: nn.Module, item: dict, ignore_index: int) -> Change:
    truth = true_labels(item)[0].long()
    item = dict(item, data_samples=item["data_samples"].clone())
    image = item["inputs"].permute(1, 2, 0).numpy()[..., ::-1]
    (sample,) = model.test_step(pseudo_collate([item]))
    return Change(
        Path(sample.metainfo.get("img_path", "")).name,
        image,
        truth,
        sample.coarse_sem_seg.data[0].cpu(),
        sample.pred_sem_seg.data[0].cpu(),
        truth != ignore_index,
    )


def _describe(change: Change, classes: Sequence[str]) -> str:
    rows, columns = change.window
    lost = change.lost[change.window]
    pairs = Counter(
        zip(
            change.truth[change.window][lost].tolist(),
            change.rendered[change.window][lost].tolist(),
            strict=True,
        )
    )
    (true, found), number = pairs.most_common(1)[0]
    return (
        f"{change.name}, rows from {rows.start}, columns from {columns.start}: "
        f"{int(lost.sum())} pixels became wrong, {int(change.gained[change.window].sum())} right; "
        f"most: {classes[true]} taken for {classes[found]}, {number} pixels; whole picture: "
        f"{int(change.lost.sum())} wrong, {int(change.gained.sum())} right"
    )


def _draw(changes: Sequence[Change], classes: Sequence[str], palette: list, path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    colors = np.zeros((256, 3), np.uint8)
    # Classes without colours are levels of grey.
    levels = np.linspace(60, 255, len(classes), dtype=np.uint8)
    colors[: len(classes)] = palette if palette else levels[:, None]
    titles = ("picture", "window", "truth", "coarse", "rendered", "what changed")
    figure = Figure(figsize=(16, 2.3 * max(1, len(changes)) + 0.4), layout="constrained", dpi=100)
    axes = figure.subplots(max(1, len(changes)), len(titles), squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    for line, change in zip(axes, changes, strict=False):
        height, width = change.truth.shape
        rows, columns = change.window
        shown = [change.image, change.image]
        shown += [colors[labels.numpy()] for labels in (change.truth, change.coarse)]
        shown += [colors[change.rendered.numpy()], _paint(change)]
        for axis, pixels in zip(line, shown, strict=True):
            axis.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest")
            axis.set(xlim=(columns.start, columns.stop), ylim=(rows.stop, rows.start))
        line[0].set(xlim=(0, width), ylim=(height, 0))
        place = (columns.start, rows.start)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        line[0].add_patch(Rectangle(place, *size, fill=False, color="white"))
        lost, gained = (int(which[change.window].sum()) for which in (change.lost, change.gained))
        line[0].set_ylabel(change.name, fontsize=7)
        line[-1].set_xlabel(f"{lost} px wrong (red), {gained} right (green)", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _paint(change: Change) -> np.ndarray:
    """Paint what became right, wrong, or differently wrong; the rest is pale."""
    pixels = np.full((*change.truth.shape, 3), 235, np.uint8)
    pixels[~change.known.numpy()] = 200
    changed = change.known & (change.coarse != change.rendered)
    for which, color in ((changed, OTHER), (change.gained, GAINED), (change.lost, LOST)):
        pixels[which.numpy()] = color
    return pixels
