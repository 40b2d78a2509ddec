"""The growth of costs: three ways to the same labels, and the files about them."""

import csv
from pathlib import Path

import pytest
import torch

from mmseg_pointrend.lab.benchmark.cost_growth import (
    FULL,
    Case,
    Effort,
    build_works,
    list_cases,
    measure_growth,
)
from mmseg_pointrend.lab.benchmark.cost_growth_plot import format_growth, write_growth

TINY = Effort(
    Case((16, 20), 2, 5, 50),
    Case((16, 20), 1, 5, 50),
    classes=(2, 5),
    shares=(1 / 64, 1 / 4),
    dense_pixels=1500,
    repeat=1,
)


def test_labels_agree() -> None:
    works = build_works(Case((17, 33), 2, 9, 300), seed=0)
    ours, upstream = works["ours"](), works["upstream"]()
    assert ours.shape == upstream.shape == (1, 68, 132)
    assert (ours != upstream).float().mean() <= 1e-4


def test_as_many_points_as_pixels_are_every_pixel() -> None:
    works = build_works(Case((17, 33), 2, 9, 68 * 132), seed=0)
    ours, dense = works["ours"](), works["dense"]()
    assert (ours != dense).float().mean() <= 1e-4


def test_points_are_counted_as_in_the_paper() -> None:
    """Sec. 3.1: from 7x7 to 224x224 with N = 28^2, 4.25 N points."""
    case = Case((7, 7), 5, 80, 28**2)
    assert case.size == (224, 224)
    assert case.rendered_points == 4.25 * 28**2


def test_one_thing_grows_at_a_time() -> None:
    cases = list(list_cases(FULL))
    assert [value for growth, value, _ in cases if growth == "classes"] == [2, 9, 19, 50, 150]
    sizes = [case.size for growth, _, case in cases if growth == "resolution"]
    assert sizes[0] == (64, 128) and sizes[-1] == (2048, 4096)
    points = [case.num_points for growth, _, case in cases if growth == "points"]
    assert points == [512 * 1024 // 1024 * 4**power for power in range(5)]


def test_measurements_and_files(tmp_path: Path) -> None:
    rows = measure_growth(TINY)
    found = {(row["growth"], row["value"], row["curve"]): row for row in rows}
    # 64 * 80 pixels are more than 1500: that one is left out.
    assert ("resolution", 5120, "dense") not in found
    assert ("resolution", 1280, "dense") in found
    assert found["resolution", 5120, "ours"]["predicted_points"] == 100
    assert found["points", 320, "ours"]["predicted_points"] == 320
    assert found["points", 320, "dense"]["predicted_points"] == 1280
    assert found["points", 20, "dense"] == found["points", 320, "dense"] | dict(value=20)
    assert all(row["milliseconds"] > 0 and row["runs"] == 1 for row in rows)
    # Their logits in float32 alone.
    assert found["resolution", 5120, "upstream"]["peak_mib"] > 5 * 5120 * 4 / 2**20
    again = {(row["growth"], row["value"], row["curve"]): row for row in measure_growth(TINY)}
    assert {key: row["peak_mib"] for key, row in again.items()} == {
        key: row["peak_mib"] for key, row in found.items()
    }

    files = write_growth(rows, tmp_path / "new")
    assert [path.name for path in files] == [
        "cost_growth.csv", "cost_growth.png", "cost_growth.svg"
    ]  # fmt: skip
    with files[0].open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["curve"] for row in read] == [row["curve"] for row in rows]
    assert float(read[0]["peak_mib"]) == rows[0]["peak_mib"]
    assert files[1].read_bytes()[:4] == b"\x89PNG"
    text = files[2].read_text()
    assert text.count("<svg") == 1 and len(text) > 10_000
    lines = format_growth(rows).splitlines()
    assert lines[3].split()[0] == "5120" and lines[3].split()[-2:] == ["-", "-"]


def test_threads_out_of_range() -> None:
    with pytest.raises(ValueError, match="threads must be an integer >= 1, got 0"):
        measure_growth(TINY, threads=0)
    assert torch.get_num_threads() >= 1
