"""Sweeps that really train, for a few iterations on a handful of 64x128 scenes."""

import csv
import fcntl
import os
import runpy
import signal
import subprocess
import sys
import time
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


def test_a_sweep_goes_on_where_it_stopped(
    options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """Two workers, one is killed after a checkpoint; the next time an srun goes on from there."""
    told = fake_srun(tmp_path, monkeypatch, 'exec "$@"')
    monkeypatch.setenv("GPUS", "0")
    work, popen = tmp_path / "work", subprocess.Popen

    def sweep(*names: str, iterations: int = 12, slurm: str | None = None) -> list:
        return run_sweeps(names, work, (1,), iterations, workers=2, slurm=slurm, options=options)

    def start(command: list[str], **kwargs: object) -> subprocess.Popen:
        """Start a run; kill PointRend's when its second checkpoint is written."""
        process, note = popen(command, **kwargs), Path(command[-1]) / "training/last_checkpoint"
        if "as-configured" in str(note):
            while process.poll() is None and not (note.exists() and "iter_2" in note.read_text()):
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
        return process

    monkeypatch.setattr(subprocess, "Popen", start)
    (failed,) = sweep("boundary-widths")
    killed, finished = (
        work / "runs" / name / "seed-1" for name in ("as-configured", "fpn-r18-small-p3p5")
    )
    assert workers.last_lines(failed.log) == "ended by SIGKILL"
    assert failed.folder == killed and not (killed / "training/iter_12.pth").exists()
    printed = capfd.readouterr().out
    assert "2 runs, 0 of them finished before" in printed
    assert "(1 remain)" in printed and "(0 remain)" in printed
    # Both were at work at the same time.
    file = finished / "tests/as-trained/result.json"
    result = file.stat()
    assert (killed / "training").stat().st_ctime < result.st_mtime

    # What there is, is there to see.
    assert (work / "boundary-widths.csv").read_text().count("\n") == 2

    monkeypatch.setattr(subprocess, "Popen", popen)
    assert sweep("boundary-widths", slurm="debug") == []
    assert "2 runs, 1 of them finished before" in capfd.readouterr().out
    assert file.stat().st_mtime_ns == result.st_mtime_ns
    (line,) = told.read_text().splitlines()
    assert line.startswith("--partition=debug --job-name=as-configured_1 --ntasks=1 ")
    assert "resumed epoch: 0, iter: 2" in (killed / "output.log").read_text()

    with open(work / "boundary-widths.csv", newline="") as csv_file:
        rows = {row["variant"]: row for row in csv.DictReader(csv_file)}
    name = "fpn-r18-small-p3p5"
    assert list(rows) == [name, f"{name}_pointrend_coarse-map", f"{name}_pointrend"]
    for metric in ("trimap/mIoU@2px", "trimap/mIoU@20px", "boundary/mIoU@0.02"):
        assert all(0 < float(row[metric]) < 100 for row in rows.values())
    # The options of a test run arrive there.
    assert len({row["mIoU"] for row in rows.values()}) == 3
    assert f"| {name}_pointrend | 1 |" in (work / "boundary-widths.md").read_text()
    assert (work / "boundary-widths.png").stat().st_size > 5000

    # Another sweep has tests of its own, but no training.
    started = (killed / "training/last_checkpoint").stat().st_mtime_ns
    assert sweep("boundary-widths", "resolution-and-points") == []
    assert "2 runs, 1 of them finished before" in capfd.readouterr().out
    assert (killed / "training/last_checkpoint").stat().st_mtime_ns == started
    with open(work / "resolution-and-points.csv", newline="") as csv_file:
        table = {row["variant"]: row for row in csv.DictReader(csv_file)}
    assert len(table) == 8
    assert table["steps-3"]["mIoU"] == rows[f"{name}_pointrend"]["mIoU"]
    assert table["steps-0"]["mIoU"] == rows[f"{name}_pointrend_coarse-map"]["mIoU"]

    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a second training"))
    assert sweep("boundary-widths", "resolution-and-points") == []
    assert "2 runs, 2 of them finished before" in capfd.readouterr().out
    with pytest.raises(ValueError, match="other settings.*asked: .*; give another work-dir"):
        sweep("boundary-widths", iterations=5)
    with open(work / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another command.* is at work in .*another work-dir"):
            sweep("boundary-widths")


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
