"""Sweeps that really train, for a few iterations on a handful of 64x128 scenes."""

import contextlib
import csv
import fcntl
import io
import os
import runpy
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from mmseg_pointrend.lab.ablation import workers
from mmseg_pointrend.lab.ablation.run_sweeps import run_sweeps
from mmseg_pointrend.lab.scenes import write_scenes

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Options that make the demo's config train on a few small scenes."""
    root = tmp_path_factory.mktemp("scenes") / "data"
    write_scenes(root, num_train=4, num_val=2, size=(64, 128))
    return {
        "model.data_preprocessor.size": (64, 128),
        "train_dataloader.dataset.pipeline.2.crop_size": (64, 128),
        "train_dataloader.dataset.data_root": str(root),
        "val_dataloader.dataset.data_root": str(root),
        "test_dataloader.dataset.data_root": str(root),
        "train_dataloader.batch_size": 2,
        "default_hooks.logger.interval": 1,
    }


def fake_srun(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Put a script called srun on PATH; it writes its options into a file, which is returned."""
    told = folder / "srun.txt"
    script = folder / "bin/srun"
    script.parent.mkdir()
    script.write_text(
        f'#!/usr/bin/env bash\necho "$@" >> {told}\nwhile [[ $1 == --* ]]; do shift; done\n{body}\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return told


NAME = "fpn-r18-small-p3p5"


@dataclass
class Story:
    """A sweep whose second run was killed, and what came after; times are in nanoseconds."""

    work: Path
    printed: list[str] = field(default_factory=list)
    failed: list = field(default_factory=list)
    last_line_of_the_killed: str = ""
    lines_after_the_kill: int = 0
    at_the_same_time: bool = False
    result_changed: bool = True
    trained_again: bool = True
    srun: list[str] = field(default_factory=list)

    @property
    def killed(self) -> Path:
        return self.work / "runs/as-configured/seed-1"

    @property
    def finished(self) -> Path:
        return self.work / f"runs/{NAME}/seed-1"

    def rows(self, sweep: str) -> dict[str, dict]:
        with open(self.work / f"{sweep}.csv", newline="") as csv_file:
            return {row["variant"]: row for row in csv.DictReader(csv_file)}


def run_story(work: Path, iterations: int, *names: str, **settings: object) -> list:
    return run_sweeps(names, work, (1,), iterations, workers=2, **settings)


@pytest.fixture(scope="module")
def story(options: dict, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Two workers, one is killed after a checkpoint; the next time an srun goes on from there."""
    folder = tmp_path_factory.mktemp("sweeps")
    told = Story(folder / "work")
    popen, sweep = subprocess.Popen, partial(run_story, told.work, 12, options=options)

    def start(command: list[str], **kwargs: object) -> subprocess.Popen:
        """Start a run; kill PointRend's when its second checkpoint is written."""
        process, note = popen(command, **kwargs), Path(command[-1]) / "training/last_checkpoint"
        if "as-configured" in str(note):
            while process.poll() is None and not (note.exists() and "iter_2" in note.read_text()):
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
        return process

    def listen(*names: str, **settings: object) -> list:
        with contextlib.redirect_stdout(io.StringIO()) as stream:
            failed = sweep(*names, **settings)
        told.printed.append(stream.getvalue())
        return failed

    with pytest.MonkeyPatch.context() as patch:
        srun = fake_srun(folder, patch, 'exec "$@"')
        patch.setenv("GPUS", "0")
        patch.setattr(subprocess, "Popen", start)
        told.failed = listen("boundary-widths")
        told.last_line_of_the_killed = workers.last_lines(told.failed[0].log)
        assert not (told.killed / "training/iter_12.pth").exists()
        file = told.finished / "tests/as-trained/result.json"
        before = file.stat()
        told.at_the_same_time = (told.killed / "training").stat().st_ctime < before.st_mtime
        told.lines_after_the_kill = (told.work / "boundary-widths.csv").read_text().count("\n")

        patch.setattr(subprocess, "Popen", popen)
        assert listen("boundary-widths", slurm="debug") == []
        told.result_changed = file.stat().st_mtime_ns != before.st_mtime_ns
        told.srun = srun.read_text().splitlines()

        started = (told.killed / "training/last_checkpoint").stat().st_mtime_ns
        assert listen("boundary-widths", "resolution-and-points") == []
        last = (told.killed / "training/last_checkpoint").stat().st_mtime_ns
        told.trained_again = last != started

        patch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a second training"))
        assert listen("boundary-widths", "resolution-and-points") == []
    return told


def test_a_killed_run_is_named_and_the_other_one_is_finished(story: Story) -> None:
    (failed,) = story.failed
    assert story.last_line_of_the_killed == "ended by SIGKILL"
    assert failed.folder == story.killed
    assert "2 runs, 0 of them finished before" in story.printed[0]
    assert "(1 remain)" in story.printed[0] and "(0 remain)" in story.printed[0]
    # What there is, is there to see: a heading and the finished run.
    assert story.lines_after_the_kill == 2


def test_two_workers_are_at_work_at_the_same_time(story: Story) -> None:
    assert story.at_the_same_time


def test_a_sweep_goes_on_where_it_stopped(story: Story) -> None:
    assert "2 runs, 1 of them finished before" in story.printed[1]
    assert "resumed epoch: 0, iter: 2" in (story.killed / "output.log").read_text()
    assert not story.result_changed


def test_slurm_starts_what_is_left(story: Story) -> None:
    (line,) = story.srun
    assert line.startswith("--partition=debug --job-name=as-configured_1 --ntasks=1 ")


def test_tables_and_a_plot_are_written(story: Story) -> None:
    rows = story.rows("boundary-widths")
    assert list(rows) == [NAME, f"{NAME}_pointrend_coarse-map", f"{NAME}_pointrend"]
    for metric in ("trimap/mIoU_2px", "trimap/mIoU_20px", "boundary/mIoU_0.02"):
        assert all(0 < float(row[metric]) < 100 for row in rows.values())
    # The options of a test run arrive there.
    assert len({row["mIoU"] for row in rows.values()}) == 3
    assert f"| {NAME}_pointrend | 1 |" in (story.work / "boundary-widths.md").read_text()
    assert (story.work / "boundary-widths.png").stat().st_size > 5000


def test_another_sweep_has_tests_of_its_own_but_no_training(story: Story) -> None:
    assert "2 runs, 1 of them finished before" in story.printed[2]
    assert not story.trained_again
    rows, table = story.rows("boundary-widths"), story.rows("resolution-and-points")
    assert len(table) == 8
    assert table["steps-3"]["mIoU"] == rows[f"{NAME}_pointrend"]["mIoU"]
    assert table["steps-0"]["mIoU"] == rows[f"{NAME}_pointrend_coarse-map"]["mIoU"]


def test_what_is_finished_is_not_run_again(story: Story) -> None:
    assert "2 runs, 2 of them finished before" in story.printed[3]


def test_a_folder_is_for_one_command_and_its_settings(story: Story, options: dict) -> None:
    with pytest.raises(ValueError, match="other settings.*asked: .*; give another work-dir"):
        run_story(story.work, 5, "boundary-widths", options=options)
    with open(story.work / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another command.* is at work in .*another work-dir"):
            run_story(story.work, 12, "boundary-widths", options=options)


def test_a_failing_run_is_named_and_the_others_go_on(
    options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """The tool; its srun runs nothing: it fails for one variant and invents the others."""
    fake_srun(
        tmp_path,
        monkeypatch,
        'folder=${!#}; [[ $folder == *uniform* ]] && { echo "no space left"; exit 3; }\n'
        'echo "{\\"metrics\\": {\\"mIoU\\": 1.0}}" > "$folder/tests/as-trained/result.json"',
    )
    monkeypatch.setenv("GPUS", "1")
    monkeypatch.setattr(sys, "argv", [
        "ablate.py", "strategies", "--work-dir", "work", "--slurm", "debug", "--iterations", "4",
        "--cfg-options", *(f"{key}={value}".replace(" ", "") for key, value in options.items()),
    ])  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "tools/ablate.py"), run_name="__main__")
    assert end.value.code == 1
    last = capfd.readouterr().out.strip().splitlines()[-2:]
    assert last[0] == (
        "failed: strategy_uniform, seed 0; see work/runs/strategy_uniform/seed-0/output.log"
    )
    assert last[1].strip() == "no space left"
    table = (tmp_path / "work/strategies.md").read_text()
    assert "heavily-biased" in table and "regular-grid" in table and "uniform" not in table
