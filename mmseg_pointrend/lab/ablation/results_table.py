"""What came out of a sweep, as CSV and as a Markdown table."""

import csv
import io
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One variant with one seed: metric -> value, as the test run named them."""

    variant: str
    seed: int
    metrics: dict[str, float]


def list_metrics(rows: Iterable[Row]) -> list[str]:
    """List the metrics of all rows, in the order in which they appear."""
    return list(dict.fromkeys(metric for row in rows for metric in row.metrics))


def list_variants(rows: Iterable[Row]) -> list[str]:
    """List the variants of all rows, in the order in which they appear."""
    return list(dict.fromkeys(row.variant for row in rows))


def mean_and_deviation(rows: Iterable[Row], variant: str, metric: str) -> tuple[float, float, int]:
    """Give the mean and the standard deviation (n - 1) over seeds, and the number of seeds.

    Values that are not numbers count as missing; of none the mean is nan, of one the deviation 0.
    """
    values = [row.metrics.get(metric, math.nan) for row in rows if row.variant == variant]
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return math.nan, 0.0, 0
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return statistics.fmean(values), deviation, len(values)


def format_csv(rows: Sequence[Row]) -> str:
    """Write a line for each variant and seed, with all metrics; empty where there is none."""
    metrics = list_metrics(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["variant", "seed", *metrics])
    for row in rows:
        writer.writerow([row.variant, row.seed, *(row.metrics.get(name, "") for name in metrics)])
    return text.getvalue()


def format_markdown(rows: Sequence[Row]) -> str:
    """Write a line for each variant: mean ± standard deviation over its seeds."""
    metrics = list_metrics(rows)
    lines = [
        _line(["variant", "seeds", *metrics]),
        "|---" * (len(metrics) + 2) + "|",
    ]
    for variant in list_variants(rows):
        seeds = sum(row.variant == variant for row in rows)
        cells = [format_cell(*mean_and_deviation(rows, variant, metric)) for metric in metrics]
        lines.append(_line([variant, str(seeds), *cells]))
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def format_cell(mean: float, deviation: float, count: int) -> str:
    """Write what `mean_and_deviation` gives."""
    if not count:
        return "-"
    return f"{mean:.2f} ± {deviation:.2f}" if count > 1 else f"{mean:.2f}"
