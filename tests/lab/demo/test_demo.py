"""The demonstrations from end to end, as processes, with too few iterations to learn anything."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_pointrend.lab.demo import choose_subject, format_table
from tests.tools.commands import ROOT, tool

SCENES = ("--num-train", "4", "--num-val", "3")
ARGUMENTS = ("demo.py", "--iterations", 2, *SCENES)


def check_report(folder: Path, instance: bool) -> dict:
    """Check what both demonstrations have in common, and give the results."""
    report = json.loads((folder / "report.json").read_text())
    assert report["seed"] == 3 and report["iterations"] == 2
    assert set(report["results"]) == {"baseline", "coarse", "pointrend"}
    for values in report["results"].values():
        assert values.keys() == choose_subject(instance).metrics.keys()
        assert all(0 <= value <= 100 for value in values.values())
    assert report["seconds"]["total"] > 0
    return report["results"]


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    done = tool(*ARGUMENTS, "--seeds", 3, cwd=tmp_path)
    results = check_report(tmp_path / "work_dirs/demo", instance=False)
    assert json.loads((tmp_path / "data/calm_scenes/scenes.json").read_text())["street"] == "calm"
    assert results["coarse"] != results["pointrend"]
    assert "PointRend, rendered" in done.stdout
    picture = np.array(Image.open(tmp_path / "work_dirs/demo/comparison.png").convert("RGB"))
    assert picture.shape[0] > 300 and picture.shape[1] > 800
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the trainings be forks of this process, which has imported everything."""
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: context)


@pytest.mark.slow
def test_demo_of_instances(tmp_path: Path, call_tool, forked) -> None:
    said = call_tool(*ARGUMENTS, "--instance", "--seeds", 3)
    check_report(tmp_path / "work_dirs/demo_instance", instance=True)
    assert "PointRend, rendered" in said
    # So early nothing is found; the picture is tested in tests/lab/figures.
    assert "no picture: in 3 pictures no object is found" in said


@pytest.mark.slow
def test_a_failing_training_names_its_log(tmp_path: Path, call_tool, forked) -> None:
    (tmp_path / "w/baseline/output.log").mkdir(parents=True)  # where the log should be written
    with pytest.raises(RuntimeError, match="baseline failed; see w/baseline/output.log"):
        call_tool(*ARGUMENTS, "--work-dir", "w")


@pytest.mark.slow
def test_sigterm_ends_the_trainings_too(tmp_path: Path) -> None:
    """No process of the demonstration's session is left."""
    process = subprocess.Popen(
        [sys.executable, ROOT / "tools/demo.py", "--iterations", "10000", *SCENES],
        cwd=tmp_path,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    logs = [tmp_path / "work_dirs/demo" / name / "output.log" for name in ("baseline", "pointrend")]
    try:
        wait_until(lambda: all(log.is_file() for log in logs))
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
        wait_until(lambda: not session_lives(process.pid))
    finally:
        if session_lives(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(holds: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def session_lives(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("instance", [False, True], ids=["semantic", "instances"])
def test_the_table_gives_mean_and_deviation(instance: bool) -> None:
    subject = choose_subject(instance)
    reports = [
        dict(results={row: dict.fromkeys(subject.metrics, value) for row in subject.rows})
        for value in (50.0, 52.0)
    ]
    assert format_table(subject, reports).count("51.00 ± 1.41") == 3 * len(subject.metrics)
    assert "±" not in format_table(subject, reports[:1])
