"""docs/reproduce.md says what came out: its cells are those of the result files beside it."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.lab.ablation.results_table import Row, format_cell, mean_and_deviation
from mmseg_pointrend.lab.ablation.run_sweeps import DEFAULT_CONFIG
from mmseg_pointrend.lab.ablation.sweeps import SWEEPS, build_sweep
from mmseg_pointrend.lab.ablation.tasks import SEMANTIC

PAGE = Path(__file__).resolve().parents[2] / "docs/reproduce.md"
RESULTS = PAGE.with_suffix("")
SEEDS = {0, 1, 2}
NAMES = list(SWEEPS[SEMANTIC.title])


def read_results(sweep: str) -> list[Row]:
    with open(RESULTS / f"{sweep}.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    return [
        Row(line.pop("variant"), int(line.pop("seed")), {key: float(line[key]) for key in line})
        for line in lines
    ]


def tables() -> Iterator[list[list[str]]]:
    """Yield the page's tables: lines of cells, the header first."""
    for block in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()]
        yield [lines[0], *lines[2:]]


def metric(header: str) -> str:
    """Turn a column's name into the metric's."""
    name = header.removeprefix("scenes, ")
    return name if name == "mIoU" else f"trimap/mIoU_{name.replace(' ', '')}"


@pytest.mark.parametrize("sweep", NAMES)
def test_every_variant_was_run_with_every_seed(sweep: str) -> None:
    trainings = build_sweep(sweep, shipped_config(DEFAULT_CONFIG)).trainings
    variants = {variant for training in trainings for variant in training.variants}
    rows = read_results(sweep)
    assert {row.variant for row in rows} == variants
    assert len(rows) == len(variants) * len(SEEDS)
    assert all(row.metrics.keys() == rows[0].metrics.keys() for row in rows)
    assert {row.seed for row in rows} == SEEDS
    assert (RESULTS / f"{sweep}.png").stat().st_size > 5000


def test_the_cells_are_the_results() -> None:
    rows = [row for sweep in NAMES for row in read_results(sweep)]
    # Variants of two sweeps have the same results in both.
    rows = list({(row.variant, row.seed): row for row in rows}.values())
    variants, seen = {row.variant for row in rows}, set()
    for header, *lines in tables():
        first = next((i for i, name in enumerate(header) if name.startswith("scenes")), None)
        if first is None:
            continue
        for line in lines:
            (variant,) = variants.intersection(re.findall(r"`([^`]+)`", " ".join(line)))
            for name, cell in zip(header[first:], line[first:], strict=True):
                assert cell == format_cell(*mean_and_deviation(rows, variant, metric(name)))
            seen.add(variant)
    assert seen == variants


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("DeepLabV3, stride 16", "deeplabv3-r18-small-d16"),
        ("SemanticFPN P3-P5, stride 8", "fpn-r18-small-p3p5"),
        ("SemanticFPN P2-P5, stride 4", "fpn-r18-small-p2p5"),
    ],
)
def test_the_readmes_cells_are_the_results(name: str, variant: str) -> None:
    rows, text = read_results("coarse-heads"), PAGE.parents[1].joinpath("README.md").read_text()
    (line,) = re.findall(rf"^\| {name} \|(.*)\|$", text, re.MULTILINE)
    found = [mean_and_deviation(rows, variant + end, "mIoU") for end in ("", "_pointrend")]
    gain = f"{found[1][0] - found[0][0]:+.1f}"
    assert [cell.strip() for cell in line.split("|")][:3] == [
        *(format_cell(*v) for v in found),
        gain,
    ]
