"""The measurements of `cost_growth` as a table and a picture."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from mmseg_pointrend.lab.benchmark.cost_growth import CURVES

_TITLES = dict(
    resolution="output pixels", classes="classes K", points="points N predicted in each step"
)
_QUANTITIES = dict(milliseconds="time, ms", peak_mib="peak of tensors, MiB")
_LABELS = dict(ours="this project", upstream="mmsegmentation", dense="every pixel")
#: Of a curve's name, as a share of a panel.
_NAME_HEIGHT = 0.07
_COLORS = dict(ours="#0b62a4", upstream="#c8501e", dense="#6b6b6b")


def write_growth(rows: Sequence[dict], folder: str | Path) -> list[Path]:
    """Write cost_growth.csv, .png and .svg.

    Args:
        rows: of `measure_growth`.
        folder: made where it is missing.

    Returns:
        the files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "cost_growth.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    figure = _draw(rows)
    pictures = [folder / "cost_growth.png", folder / "cost_growth.svg"]
    for picture in pictures:
        figure.savefig(picture, dpi=150)
    return [table, *pictures]


def format_growth(rows: Sequence[dict]) -> str:
    """Lay the measurements out as text: a block for each growth, a line for each value."""
    lines = []
    for growth, title in _TITLES.items():
        lines += [title.ljust(34) + "".join(f"{curve:>13} ms{'MiB':>9}" for curve in CURVES)]
        found: dict[int, dict] = {}
        for row in rows:
            if row["growth"] == growth:
                found.setdefault(row["value"], {})[row["curve"]] = row
        for value, curves in found.items():
            cells = [
                f"{curves[curve]['milliseconds']:16.2f}{curves[curve]['peak_mib']:9.1f}"
                if curve in curves
                else f"{'-':>16}{'-':>9}"
                for curve in CURVES
            ]
            lines.append(f"{value:>12}".ljust(34) + "".join(cells))
        lines.append("")
    return "\n".join(lines).rstrip()


def _draw(rows: Sequence[dict]) -> object:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 7), layout="constrained")
    panels = figure.subplots(len(_QUANTITIES), len(_TITLES), squeeze=False)
    for line, (quantity, quantity_title) in zip(panels, _QUANTITIES.items(), strict=True):
        for panel, growth in zip(line, _TITLES, strict=True):
            chosen = [row for row in rows if row["growth"] == growth]
            _draw_panel(panel, chosen, quantity)
            panel.set_ylabel(quantity_title)
            panel.set_xlabel(_TITLES[growth])
            if quantity == next(iter(_QUANTITIES)):
                panel.set_title(_constants(growth, chosen), fontsize=9)
    figure.suptitle("From coarse logits to labels")
    return figure


def _draw_panel(panel: object, rows: Sequence[dict], quantity: str) -> None:
    for curve in CURVES:
        points = [(row["value"], row[quantity]) for row in rows if row["curve"] == curve]
        if not points:
            continue
        x, y = zip(*points, strict=True)
        panel.plot(x, y, marker="o", markersize=4, color=_COLORS[curve])
    panel.set_xscale("log", base=2 if rows[0]["growth"] != "classes" else 10)
    panel.set_yscale("log")
    panel.grid(True, which="major", color="#e4e4e4")
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    if rows[0]["growth"] == "classes":
        values = sorted({row["value"] for row in rows})
        panel.set_xticks(values, labels=[str(value) for value in values])
        panel.minorticks_off()
    _name_curves(panel, {row["curve"]: row[quantity] for row in rows})


def _name_curves(panel: object, last: dict[str, float]) -> None:
    """Write each curve's name beside its last value, apart from one another."""
    low, high = (math.log(limit) for limit in panel.get_ylim())
    lowest = 0.0
    for curve, value in sorted(last.items(), key=lambda item: item[1]):
        height = max((math.log(value) - low) / (high - low), lowest)
        lowest = height + _NAME_HEIGHT
        panel.annotate(
            _LABELS[curve],
            (1.02, height),
            xycoords="axes fraction",
            color=_COLORS[curve],
            va="center",
            fontsize=9,
        )


def _constants(growth: str, rows: Sequence[dict]) -> str:
    row = next(row for row in rows if row["curve"] == "ours")
    coarse = f"{row['coarse_height']}x{row['coarse_width']}"
    parts = dict(
        resolution=f"coarse grid {coarse}",
        classes=f"K = {row['classes']}",
        points=f"N = {row['points_per_step']}",
    )
    if growth != "resolution":
        parts["resolution"] = f"{coarse} to {row['height']}x{row['width']}"
    else:
        parts["resolution"] += ", 0 to more steps"
    return ", ".join(text for key, text in parts.items() if key == "resolution" or key != growth)
