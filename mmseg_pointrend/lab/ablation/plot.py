"""What came out of a sweep, as a picture."""

import re
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmseg_pointrend.lab.ablation.results_table import (
    Row,
    list_metrics,
    list_variants,
    mean_and_deviation,
)

_WIDTH = re.compile(r"^trimap/mIoU_(\d+)px$")
#: With a panel each, as far as they were measured; the table has all.
_PANEL = re.compile(
    r"^(mIoU|trimap/mIoU_[28]px|boundary/mIoU_.+|\w+/((lvis_)?segm_mAP|segm_mAP_75|boundary_mAP))$"
)
#: How many, where there are other metrics only.
_PANELS = 4
_COLOR, _GRID = "#1f6f8b", "#d8dbe2"


def plot_rows(rows: Sequence[Row], title: str, out: str | Path, over_widths: bool = False) -> None:
    """Draw the metrics of every variant, with a bar of one standard deviation over seeds.

    Args:
        rows: what came out.
        title: of the picture.
        out: picture to write (.png, .pdf or .svg).
        over_widths: draw the mean IoU near boundaries as curves over the distance to them.

    Raises:
        ValueError: if there are no metrics.
    """
    metrics = list_metrics(rows)
    if not metrics:
        raise ValueError("rows must hold at least one metric, got none")
    widths = [metric for metric in metrics if _WIDTH.match(metric)] if over_widths else []
    panels = [metric for metric in metrics if _PANEL.match(metric) and metric not in widths]
    panels = panels or metrics[:_PANELS]
    count, curve = len(panels) + bool(widths), bool(widths)
    height = 1.6 + 0.32 * len(list_variants(rows)) + 1.6 * curve
    figure = Figure(figsize=(3 + 2.6 * count + 1.6 * curve, height), layout="constrained")
    ratios = [1] * len(panels) + [1.6] * curve
    axes = figure.subplots(1, count, squeeze=False, width_ratios=ratios)[0]
    for number, (axis, metric) in enumerate(zip(axes, panels, strict=False)):
        _draw_dots(axis, rows, metric, named=number == 0)
    if curve:
        _draw_curves(axes[-1], rows, widths)
    figure.suptitle(f"{title}\n{_bars(rows)}")
    figure.savefig(out, dpi=120)


def _draw_dots(axis: Axes, rows: Sequence[Row], metric: str, named: bool) -> None:
    variants = list_variants(rows)
    for place, variant in enumerate(variants):
        mean, deviation, _ = mean_and_deviation(rows, variant, metric)
        axis.errorbar(mean, place, xerr=deviation, fmt="o", color=_COLOR, capsize=3, markersize=6)
    axis.set_yticks(range(len(variants)), variants if named else [""] * len(variants))
    axis.set_ylim(len(variants) - 0.5, -0.5)
    axis.set_xlabel(f"{metric} (%)")
    axis.margins(x=0.15)
    _tidy(axis)


def _draw_curves(axis: Axes, rows: Sequence[Row], metrics: Sequence[str]) -> None:
    widths = [int(_WIDTH.match(metric)[1]) for metric in metrics]
    for variant in list_variants(rows):
        points = [mean_and_deviation(rows, variant, metric)[:2] for metric in metrics]
        means, deviations = zip(*points, strict=True)
        axis.errorbar(widths, means, yerr=deviations, marker="o", capsize=3, label=variant)
    axis.set(xlabel="distance to a boundary (px)", ylabel="trimap mIoU (%)")
    axis.set_xticks(widths)
    axis.legend(frameon=False, fontsize="small")
    _tidy(axis)


def _bars(rows: Sequence[Row]) -> str:
    """Say what dots and bars are."""
    counts = {sum(row.variant == variant for row in rows) for variant in list_variants(rows)}
    if counts == {1}:
        return "one seed"
    seeds = "-".join(str(count) for count in sorted({min(counts), max(counts)}))
    return f"mean ± standard deviation, {seeds} seeds"


def _tidy(axis: Axes) -> None:
    axis.grid(color=_GRID)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
