"""Sweeps that really train, for a few iterations on a handful of 64x128 scenes."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmseg_pointrend.apis.ablation.run_sweep import run_sweep
from mmseg_pointrend.datasets import write_scenes

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


def test_workers_and_skipping(
    options: dict, tmp_path: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sweep(iterations: int = 4) -> list:
        return run_sweep("uncertainty", tmp_path, (1,), iterations, workers=2, options=options)

    assert sweep() == []
    printed = capfd.readouterr().out
    assert "2 runs, 0 of them finished before" in printed
    assert "(1 remain)" in printed and "(0 remain)" in printed
    with open(tmp_path / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["seed"]) for row in rows] == [
        (f"train-{training}_test-{test}", "1")
        for training in ("logit", "probability")
        for test in ("logit", "probability")
    ]
    assert all(0 < float(row["trimap/mIoU@2px"]) < 100 for row in rows)
    assert "| train-logit_test-logit | 1 |" in (tmp_path / "results.md").read_text()
    assert (tmp_path / "results.png").stat().st_size > 5000
    # Both were at work at the same time.
    logs = sorted(tmp_path.glob("*/seed-1/output.log"))
    results = [log.with_name("result.json") for log in logs]
    started = [log.with_name("run.json").stat().st_mtime for log in logs]
    assert max(started) < min(result.stat().st_mtime for result in results)

    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a second training"))
    before = [result.stat().st_mtime_ns for result in results]
    assert sweep() == []
    assert "2 runs, 2 of them finished before" in capfd.readouterr().out
    assert [result.stat().st_mtime_ns for result in results] == before
    with pytest.raises(ValueError, match="other settings.*asked: .*; give another work-dir"):
        sweep(iterations=5)


def test_a_killed_run_goes_on_under_slurm(
    options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after a checkpoint, the training resumes from it; the second time an srun starts it.

    Its eight variants are test runs of this one model.
    """
    told = fake_srun(tmp_path, monkeypatch, 'exec "$@"')
    run = tmp_path / "work/as-configured/seed-0"

    def start(*_: object, **kwargs: object) -> subprocess.Popen:
        """Start a run and kill it when its second checkpoint is written."""
        process = original(*_, **kwargs)
        note = run / "training/last_checkpoint"
        while process.poll() is None and not (note.exists() and "iter_2.pth" in note.read_text()):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        return process

    original = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start)
    arguments = ("resolution-and-points", tmp_path / "work", (0,), 12)
    (failed,) = run_sweep(*arguments, options=options)
    assert failed.folder == run and not (run / "result.json").exists()
    assert not (run / "training/iter_12.pth").exists()

    monkeypatch.setattr(subprocess, "Popen", original)
    monkeypatch.setenv("GPUS", "0")
    assert run_sweep(*arguments, slurm="debug", options=options) == []
    assert "--partition=debug --job-name=as-configured_0 --ntasks=1" in told.read_text()
    assert "resumed epoch: 0, iter: 2" in (run / "output.log").read_text()
    with open(tmp_path / "work/results.csv", newline="") as file:
        values = {row["variant"]: row for row in csv.DictReader(file)}
    assert len(values) == 8
    # Rendering and points matter to the result, so the options arrived.
    assert values["steps-0"]["mIoU"] != values["steps-3"]["mIoU"]


def test_a_failing_run_is_named_and_the_others_go_on(
    options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in for srun runs nothing: it fails for one variant and invents the others."""
    fake_srun(
        tmp_path,
        monkeypatch,
        'folder=${!#}; variant=$(basename "$(dirname "$folder")")\n'
        '[[ $variant == uniform ]] && { echo "no space left"; exit 3; }\n'
        'echo "{\\"metrics\\": {\\"$variant\\": {\\"mIoU\\": 1.0}}}" > "$folder/result.json"',
    )
    command = [
        sys.executable, ROOT / "tools/ablate.py", "strategies", "--work-dir", "work", "--slurm",
        "debug", "--iterations", "4", "--cfg-options",
        *(f"{key}={value}".replace(" ", "") for key, value in options.items()),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-2:]
    assert last[0] == "failed: uniform, seed 0; see work/uniform/seed-0/output.log"
    assert last[1].strip() == "no space left"
    table = (tmp_path / "work/results.md").read_text()
    assert "heavily-biased" in table and "regular-grid" in table and "uniform" not in table
