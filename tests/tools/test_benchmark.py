"""The measuring tools as real processes."""

import json
from pathlib import Path

import pytest

from tests.tools.commands import ROOT, tool

pytestmark = pytest.mark.slow

SMALL = ROOT / "configs/pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
SMALL_FPN = ROOT / "configs/sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py"


def test_speed_and_memory_are_printed_and_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    done = tool(
        "benchmark.py", SMALL, "--shape", 131, 195, "--ori-shape", 260, 390, "--repeat", 2,
        "--warmup", 1, "--threads", 1, "--json", path,
        "--cfg-options", "model.decode_head.subdivision.num_points=0.01", cwd=tmp_path,
    )  # fmt: skip
    report = json.loads(path.read_text())
    assert report["environment"]["threads"] == 1
    assert report["settings"]["shape"] == [131, 195]
    assert len(report["models"]["ours"]["seconds"]["total"]) == 2
    assert list(report["models"]) == ["ours"]
    peaks = report["models"]["ours"]["peak_memory"]
    # The labels alone, int64; and not ten times the logits of every pixel in float32.
    for part in ("total", "after the coarse logits"):
        assert 8 * 260 * 390 < peaks[part] < 10 * 9 * 4 * 260 * 390
    assert "random: the labels mean nothing" in done.stdout
    assert "peak memory, MiB" in done.stdout
    assert list(tmp_path.iterdir()) == [path.parent]


def test_a_mistake_takes_one_line(call_tool) -> None:
    (line,) = call_tool.fail("benchmark.py", SMALL_FPN, "--versus", "upstream").splitlines()
    assert line.startswith("error: ") and "this config has none" in line


def test_growth_is_drawn(tmp_path: Path) -> None:
    done = tool("analysis_tools/cost_growth.py", "--out", tmp_path / "out", "--quick", cwd=tmp_path)
    assert done.stderr == ""
    assert "output pixels" in done.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"cost_growth.csv", "cost_growth.png", "cost_growth.svg"}
