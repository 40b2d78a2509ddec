"""The comparison as files: a line for each method and checkpoint, a table of means, a picture."""

import json
from collections.abc import Sequence
from pathlib import Path

from mmseg_pointrend.lab.ablation.results_table import (
    Row,
    format_csv,
    format_markdown,
    list_variants,
    mean_and_deviation,
)
from mmseg_pointrend.lab.alternatives.comparing import BAND, WHOLE, Comparison
from mmseg_pointrend.lab.alternatives.methods import POINT_FACTORS

#: Title of a panel -> metric.
PANELS = {
    "mIoU, %": "mIoU",
    f"mIoU within {BAND} px of boundaries, %": f"trimap/mIoU_{BAND}px",
}
_POINTREND, _OTHER, _GRID = "#0b62a4", "#c8501e", "#e4e4e4"


def write_report(folder: str | Path, comparisons: Sequence[Comparison], of: dict) -> list[Path]:
    """Write alternatives.csv, .md, .json and .png.

    Args:
        folder: made where it is missing.
        comparisons: one for each checkpoint.
        of: what was compared, and where, for the JSON file.

    Returns:
        the files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = _sorted([row for one in comparisons for row in one.rows])
    files = [folder / f"alternatives{ending}" for ending in (".csv", ".md", ".json", ".png")]
    files[0].write_text(format_csv(rows), encoding="utf-8")
    files[1].write_text(format_markdown(rows), encoding="utf-8")
    said = dict(
        of=of,
        settings=[one.settings for one in comparisons],
        left_out=comparisons[0].left_out,
        rows=[dict(method=row.variant, checkpoint=row.seed, **row.metrics) for row in rows],
    )
    files[2].write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    _draw(rows, files[3])
    return files


def format_settings(comparison: Comparison) -> str:
    """Say which settings were chosen, and what was left out and why."""
    lines = [f"chosen for {name}: {found}" for name, found in comparison.settings.items()]
    lines += [f"left out: {name}: {reason}" for name, reason in comparison.left_out.items()]
    return "\n".join(lines)


def _sorted(rows: Sequence[Row]) -> list[Row]:
    """Put the rows of a method beside each other."""
    return [row for name in list_variants(rows) for row in rows if row.variant == name]


def _draw(rows: Sequence[Row], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5.2), layout="constrained")
    for axis, (title, metric) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        line = []
        for name in list_variants(rows):
            x = mean_and_deviation(rows, name, WHOLE)[0]
            y, deviation, _ = mean_and_deviation(rows, name, metric)
            ours = name.startswith("PointRend")
            color = _POINTREND if ours else _OTHER
            axis.errorbar(x, y, yerr=deviation, fmt="o", color=color, capsize=3, markersize=5)
            if name in POINT_FACTORS:
                line.append((x, y))
            # Those on the line are near each other.
            said = name.removeprefix("PointRend, ") if name in POINT_FACTORS else name
            axis.annotate(
                said, (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8, color=color
            )
        axis.plot(*zip(*line, strict=True), color=_POINTREND, linewidth=1)
        axis.set_xscale("log")
        axis.set(xlabel="milliseconds a picture, network included", title=title)
        axis.margins(x=0.25, y=0.12)
        axis.grid(True, which="both", color=_GRID)
        axis.set_axisbelow(True)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    figure.savefig(path, dpi=130)
