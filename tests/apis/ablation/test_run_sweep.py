"""Sweeps that really train, for a few iterations on a handful of 64x128 scenes."""

import csv
import os
import runpy
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


def test_a_sweep_goes_on_where_it_stopped(
    options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """Two workers, one is killed after a checkpoint; the next time an srun goes on from there."""
    told = fake_srun(tmp_path, monkeypatch, 'exec "$@"')
    monkeypatch.setenv("GPUS", "0")
    work, popen = tmp_path / "work", subprocess.Popen

    def sweep(iterations: int = 12, slurm: str | None = None) -> list:
        return run_sweep(
            "coarse-heads", work, (1,), iterations, workers=2, slurm=slurm, options=options
        )

    def start(command: list[str], **kwargs: object) -> subprocess.Popen:
        """Start a run; kill PointRend's when its second checkpoint is written."""
        process, note = popen(command, **kwargs), Path(command[-1]) / "training/last_checkpoint"
        if "pointrend" in str(note):
            while process.poll() is None and not (note.exists() and "iter_2" in note.read_text()):
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
        return process

    monkeypatch.setattr(subprocess, "Popen", start)
    (failed,) = sweep()
    killed, finished = (work / f"fpn-r18-small{end}/seed-1" for end in ("_pointrend", ""))
    assert failed.folder == killed and not (killed / "training/iter_12.pth").exists()
    printed = capfd.readouterr().out
    assert "2 runs, 0 of them finished before" in printed
    assert "(1 remain)" in printed and "(0 remain)" in printed
    # Both were at work at the same time.
    result = (finished / "result.json").stat()
    assert (killed / "training").stat().st_ctime < result.st_mtime

    monkeypatch.setattr(subprocess, "Popen", popen)
    assert sweep(slurm="debug") == []
    assert "2 runs, 1 of them finished before" in capfd.readouterr().out
    assert (finished / "result.json").stat().st_mtime_ns == result.st_mtime_ns
    (line,) = told.read_text().splitlines()
    assert line.startswith("--partition=debug --job-name=fpn-r18-small_pointrend_1 --ntasks=1 ")
    assert "resumed epoch: 0, iter: 2" in (killed / "output.log").read_text()

    with open(work / "results.csv", newline="") as file:
        rows = {row["variant"]: row for row in csv.DictReader(file)}
    assert list(rows) == [
        f"fpn-r18-small{end}" for end in ("", "_pointrend_coarse-map", "_pointrend")
    ]
    assert all(0 < float(row["trimap/mIoU@2px"]) < 100 for row in rows.values())
    # The options of a test run arrive there.
    assert len({row["mIoU"] for row in rows.values()}) == 3
    assert "| fpn-r18-small_pointrend | 1 |" in (work / "results.md").read_text()
    assert (work / "results.png").stat().st_size > 5000

    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a second training"))
    assert sweep() == []
    assert "2 runs, 2 of them finished before" in capfd.readouterr().out
    with pytest.raises(ValueError, match="other settings.*asked: .*; give another work-dir"):
        sweep(iterations=5)


def test_a_failing_run_is_named_and_the_others_go_on(
    options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """The tool; its srun runs nothing: it fails for one variant and invents the others."""
    fake_srun(
        tmp_path,
        monkeypatch,
        'folder=${!#}; variant=$(basename "$(dirname "$folder")")\n'
        '[[ $variant == uniform ]] && { echo "no space left"; exit 3; }\n'
        'echo "{\\"metrics\\": {\\"$variant\\": {\\"mIoU\\": 1.0}}}" > "$folder/result.json"',
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
    assert last[0] == "failed: uniform, seed 0; see work/uniform/seed-0/output.log"
    assert last[1].strip() == "no space left"
    table = (tmp_path / "work/results.md").read_text()
    assert "heavily-biased" in table and "regular-grid" in table and "uniform" not in table
