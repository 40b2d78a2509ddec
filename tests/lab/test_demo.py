"""The demonstration from end to end, as processes, with too few iterations to learn anything."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_pointrend.lab.demo import format_table
from tests.tools.commands import tool

ARGUMENTS = ("demo.py", "--iterations", 2, "--num-train", 4, "--num-val", 3)


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    done = tool(*ARGUMENTS, "--seeds", 3, cwd=tmp_path)
    report = json.loads((tmp_path / "work_dirs/demo/report.json").read_text())
    assert report["seed"] == 3 and report["iterations"] == 2
    assert set(report["results"]) == {"baseline", "coarse", "pointrend"}
    for values in report["results"].values():
        assert set(values) == {"mIoU", "mIoU_2px", "mIoU_4px", "mIoU_8px"}
        assert all(0 <= value <= 100 for value in values.values())
    assert report["results"]["coarse"] != report["results"]["pointrend"]
    assert report["seconds"]["total"] > 0
    assert "PointRend, rendered" in done.stdout
    picture = np.array(Image.open(tmp_path / "work_dirs/demo/comparison.png").convert("RGB"))
    assert picture.shape[0] > 300 and picture.shape[1] > 800
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


@pytest.mark.slow
def test_a_failing_training_names_its_log(tmp_path: Path, call_tool, monkeypatch) -> None:
    forked = multiprocessing.get_context("fork")  # which has imported everything
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: forked)
    (tmp_path / "w/baseline/output.log").mkdir(parents=True)  # where the log should be written
    with pytest.raises(RuntimeError, match="baseline failed; see w/baseline/output.log"):
        call_tool(*ARGUMENTS, "--work-dir", "w")


def test_the_table_gives_mean_and_deviation() -> None:
    reports = [
        dict(
            results={
                row: dict.fromkeys(("mIoU", "mIoU_2px", "mIoU_4px", "mIoU_8px"), value)
                for row in ("baseline", "coarse", "pointrend")
            }
        )
        for value in (50.0, 52.0)
    ]
    assert "51.00 ± 1.41" in format_table(reports)
    assert "±" not in format_table(reports[:1])
