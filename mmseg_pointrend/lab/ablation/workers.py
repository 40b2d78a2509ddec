"""Runs in processes of their own, several at a time, on this machine or under Slurm."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mmseg_pointrend.lab.ablation.run_folder import Run
from mmseg_pointrend.lab.machine import usable_cores
from mmseg_pointrend.lab.termination import exit_when_terminated

POLL_SECONDS = 0.2
#: Workers on this machine, unless told otherwise.
LOCAL_WORKERS = 2


def run_all(
    runs: Sequence[Run],
    workers: int | None = None,
    slurm: str | None = None,
    on_end: Callable[[Run, bool], None] = lambda run, succeeded: None,
    held: Sequence[int] = (),
) -> None:
    """Start each run in a process, and wait for all; a run that fails does not stop the others.

    On this machine the workers share its cores (unless OMP_NUM_THREADS is set) and take its GPUs by
    turns. Under Slurm each run is an `srun`; GPUS (1 by default), CPUS_PER_TASK and SRUN_ARGS may
    be set in the environment, as for tools/slurm_train.sh. A log tells the signal that ended a run.

    Args:
        runs: what is to be run; their folders are prepared.
        workers: how many at a time; 2 by default, under Slurm all.
        slurm: the Slurm partition; None for this machine.
        on_end: called with each run at its end, and whether it succeeded.
        held: file descriptors that the processes keep open.

    Raises:
        FileNotFoundError: if there is no `srun` where one is needed.
        ValueError: for fewer than 1 worker, or GPUS that is not a number.
    """
    if workers is None:
        workers = LOCAL_WORKERS if slurm is None else len(runs) or 1
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    workers = min(workers, len(runs))
    # A slot is what a worker has for itself.
    environment = _environment if slurm is None else _slurm_environment
    slots = [environment(slot, workers) for slot in range(workers)]
    waiting, working = list(runs), {}
    with exit_when_terminated():
        try:
            while waiting or working:
                while waiting and slots:
                    run, slot = waiting.pop(0), slots.pop(0)
                    working[_start(run, slot, slurm, held)] = (run, slot)
                for process in [process for process in working if process.poll() is not None]:
                    run, slot = working.pop(process)
                    slots.append(slot)
                    _note_signal(run, process.returncode)
                    on_end(run, process.returncode == 0 and run.is_finished)
                if working:
                    time.sleep(POLL_SECONDS)
        finally:
            for process in working:
                process.terminate()
            for process in working:
                process.wait()


def _start(
    run: Run, environment: dict[str, str], slurm: str | None, held: Sequence[int]
) -> subprocess.Popen:
    command = [sys.executable, "-u", "-m", "mmseg_pointrend.lab.ablation.one_run", str(run.folder)]
    if slurm is not None:
        command = _srun(run, slurm, command)
    with open(run.log, "a") as log:
        try:
            return subprocess.Popen(
                command,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=held,
            )
        except FileNotFoundError as error:
            raise FileNotFoundError(f"there is no {error.filename} on this machine") from error


def _srun(run: Run, partition: str, command: list[str]) -> list[str]:
    """Put `srun` and what it needs before a command; several GPUs are several tasks."""
    asked = os.environ.get("GPUS", "1")
    if not asked.isdecimal():
        raise ValueError(f"GPUS must be a number, 0 or more, got {asked!r}")
    gpus = int(asked)
    tasks = max(1, gpus)
    options = [
        f"--partition={partition}",
        f"--job-name={run.training}_{run.seed}",
        f"--ntasks={tasks}",
        f"--ntasks-per-node={tasks}",
        f"--cpus-per-task={os.environ.get('CPUS_PER_TASK', '5')}",
        "--kill-on-bad-exit=1",
        *([f"--gres=gpu:{gpus}"] if gpus else []),
        *shlex.split(os.environ.get("SRUN_ARGS", "")),
    ]
    return ["srun", *options, *command, *(["slurm"] if tasks > 1 else [])]


def _environment(slot: int, workers: int) -> dict[str, str]:
    """Divide this machine: a share of its cores, and a GPU if there are several."""
    shared = {}
    if "OMP_NUM_THREADS" not in os.environ:
        shared["OMP_NUM_THREADS"] = str(max(1, usable_cores() // workers))
    gpus = _visible_gpus()
    if len(gpus) > 1:
        shared["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    return shared


def _slurm_environment(slot: int, _: int) -> dict[str, str]:
    """Count runs on from the port that is set, if one is; else each job's number gives it one."""
    first = os.environ.get("MASTER_PORT")
    return {} if first is None else {"MASTER_PORT": str(int(first) + slot)}


def _visible_gpus() -> list[str]:
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [gpu for gpu in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if gpu.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _note_signal(run: Run, returncode: int) -> None:
    """Write into a run's log which signal ended it, as the process itself could not."""
    if returncode < 0:
        with open(run.log, "a") as log:
            log.write(f"\nended by {signal.Signals(-returncode).name}\n")


def last_lines(log: Path, count: int = 1) -> str:
    """Return the last lines of a log that say something."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-count:])
