"""What processes are given, and what a folder tells; nothing is trained."""

import os
import signal
import sys
from pathlib import Path

import pytest

from mmseg_pointrend.lab.ablation import workers
from mmseg_pointrend.lab.ablation.one_run import _last_checkpoint
from mmseg_pointrend.lab.ablation.run_folder import Run, check_folder, prepare_folder
from mmseg_pointrend.lab.ablation.run_sweeps import run_sweeps


def make_runs(folder: Path, count: int) -> list[Run]:
    runs = [Run("t", seed, folder / f"seed-{seed}", "x = 1\n", ({},)) for seed in range(count)]
    for run in runs:
        prepare_folder(run)
    return runs


def test_a_run_of_several_tasks_has_a_port_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    srun = tmp_path / "srun"
    srun.write_text(
        f"#!/usr/bin/env bash\necho ${{MASTER_PORT:-its own}} >> {tmp_path}/ports; sleep 0.3\n"
    )
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GPUS", "4")
    monkeypatch.setenv("MASTER_PORT", "29500")
    ended = []
    runs = make_runs(tmp_path, 3)
    workers.run_all(runs, slurm="debug", on_end=lambda run, succeeded: ended.append(succeeded))
    ports = (tmp_path / "ports").read_text().split()
    assert sorted(ports) == ["29500", "29501", "29502"] and ended == [False] * 3
    monkeypatch.delenv("MASTER_PORT")
    workers.run_all(runs, slurm="debug")
    assert (tmp_path / "ports").read_text().splitlines()[3:] == ["its own"] * 3
    for gpus in ("-1", "two"):
        monkeypatch.setenv("GPUS", gpus)
        with pytest.raises(ValueError, match=f"GPUS must be a number, 0 or more, got '{gpus}'"):
            workers.run_all(runs, slurm="debug")


def test_cores_are_divided_among_the_runs_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(workers, "usable_cores", lambda: 8)
    monkeypatch.setattr(sys, "executable", "/usr/bin/env")
    told = []
    popen = workers.subprocess.Popen

    def start(command: list[str], env: dict, **kwargs: object) -> object:
        told.append(env["OMP_NUM_THREADS"])
        return popen(["bash", "-c", "kill -9 $$"], env=env, **kwargs)

    monkeypatch.setattr(workers.subprocess, "Popen", start)
    (run,) = make_runs(tmp_path, 1)
    workers.run_all([run], workers=4)
    assert told == ["8"]
    assert workers.last_lines(run.log) == f"ended by {signal.SIGKILL.name}"


def test_the_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    assert _last_checkpoint(tmp_path) is None
    (tmp_path / "iter_2.pth").touch()
    assert _last_checkpoint(tmp_path) is None, "it may be half written"
    note = tmp_path / "last_checkpoint"
    note.touch()
    assert _last_checkpoint(tmp_path) is None, "the note is half written"
    note.write_text("/before/it/was/moved/iter_2.pth")
    assert _last_checkpoint(tmp_path) == tmp_path / "iter_2.pth"


def test_a_folder_with_other_settings(tmp_path: Path) -> None:
    (run,) = make_runs(tmp_path, 1)
    check_folder(run)
    (run.folder / "config.py").write_text("x = 2\n")
    with pytest.raises(ValueError, match="other settings .there: x = 2 asked: x = 1"):
        check_folder(run)


def test_a_mistaken_command_leaves_no_run_behind(tmp_path: Path) -> None:
    """The last of the sweep's runs has other settings."""
    folder = tmp_path / "runs/uncertainty_probability/seed-0"
    folder.mkdir(parents=True)
    (folder / "config.py").write_text("x = 2\n")
    with pytest.raises(ValueError, match="other settings"):
        run_sweeps(["uncertainty"], tmp_path, iterations=4)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [folder.parent.name]


def test_a_work_dir_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="work_dir .* cannot be written"):
        run_sweeps(["resolution-and-points"], tmp_path / "file")
