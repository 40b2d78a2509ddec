"""docs/reproduce.md says what came out: its cells are those of the result files beside it."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.lab.ablation.results_table import Row, format_cell, mean_and_deviation
from mmseg_pointrend.lab.ablation.run_sweeps import DEFAULT_CONFIG
from mmseg_pointrend.lab.ablation.sweeps import build_sweep, fitting_sweeps

PAGE = Path(__file__).resolve().parents[2] / "docs/reproduce.md"
RESULTS = PAGE.with_suffix("")
SEEDS = {0, 1, 2}
#: Of the page; docs/compare.md is about the others.
NAMES = [name for name in fitting_sweeps(shipped_config(DEFAULT_CONFIG)) if name != "alternatives"]
#: Data -> the sweeps of instance masks on it; the folder of its results is named for it.
INSTANCES = {
    "scenes": ("mask-heads", "resolution-and-points", "strategies"),
    "pedestrians": ("mask-heads", "resolution-and-points", "strategies"),
    "nuclei": ("mask-heads", "resolution-and-points"),
}
INSTANCE_CONFIG = "mask_rcnn/pointrend-mask-rcnn_r18-small_1xb2-1k_{}.py"
AP = {"AP": "coco/segm_mAP", "AP75": "coco/segm_mAP_75", "Boundary AP": "coco/boundary_mAP"}


def read_results(sweep: str, folder: Path = RESULTS) -> list[Row]:
    with open(folder / f"{sweep}.csv", newline="") as file:
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


@pytest.mark.parametrize(
    ("sweep", "data"),
    [
        *((sweep, None) for sweep in NAMES),
        *((sweep, data) for data, sweeps in INSTANCES.items() for sweep in sweeps),
    ],
)
def test_every_variant_was_run_with_every_seed(sweep: str, data: str | None) -> None:
    folder, config = RESULTS, DEFAULT_CONFIG
    if data is not None:
        folder = RESULTS / "instance" / data
        config = INSTANCE_CONFIG.format(data if data != "scenes" else "demo-scenes-192x384")
    trainings = build_sweep(sweep, shipped_config(config)).trainings
    variants = {variant for training in trainings for variant in training.variants}
    rows = read_results(sweep, folder)
    assert {row.variant for row in rows} == variants
    assert len(rows) == len(variants) * len(SEEDS)
    assert all(row.metrics.keys() == rows[0].metrics.keys() for row in rows)
    assert {row.seed for row in rows} == SEEDS
    assert (folder / f"{sweep}.png").stat().st_size > 5000


def test_the_cells_are_the_results() -> None:
    rows = [row for sweep in NAMES for row in read_results(sweep)]
    # Variants of two sweeps have the same results in both.
    rows = list({(row.variant, row.seed): row for row in rows}.values())
    variants, seen = {row.variant for row in rows}, set()
    for header, *lines in tables():
        first = next((i for i, name in enumerate(header) if name.startswith("scenes")), None)
        if first is None or header[first] == "scenes, AP":
            continue  # of labels, not of instance masks
        for line in lines:
            (variant,) = variants.intersection(re.findall(r"`([^`]+)`", " ".join(line)))
            for name, cell in zip(header[first:], line[first:], strict=True):
                assert cell == format_cell(*mean_and_deviation(rows, variant, metric(name)))
            seen.add(variant)
    assert seen == variants


def test_the_cells_of_instance_masks_are_the_results() -> None:
    seen = set()
    for header, *lines in tables():
        columns = [header.index(f"{data}, AP") for data in INSTANCES if f"{data}, AP" in header]
        if not columns:
            continue
        first, data = columns[0], ""
        for place in range(first, len(header)):
            before, _, name = header[place].rpartition(", ")
            data = before or data
            folder = RESULTS / "instance" / data
            rows = [row for sweep in INSTANCES[data] for row in read_results(sweep, folder)]
            rows = list({(row.variant, row.seed): row for row in rows}.values())
            for line in lines:
                (variant,) = re.findall(r"`([^`]+)`", line[first - 1])
                assert line[place] == format_cell(*mean_and_deviation(rows, variant, AP[name]))
                seen.add((data, variant))
    assert seen == {
        (data, row.variant)
        for data, sweeps in INSTANCES.items()
        for sweep in sweeps
        for row in read_results(sweep, RESULTS / "instance" / data)
    }


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
