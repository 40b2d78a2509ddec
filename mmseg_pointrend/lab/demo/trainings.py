"""Both models of a demonstration, trained and tested at the same time."""

import json
import multiprocessing
import os
import time
from pathlib import Path

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.apis.testing import test
from mmseg_pointrend.apis.training import train
from mmseg_pointrend.lab.demo.subject import Subject
from mmseg_pointrend.lab.machine import usable_cores
from mmseg_pointrend.lab.termination import exit_when_terminated

POLL_SECONDS = 1
PRINT_SECONDS = 15


def train_and_test(
    subject: Subject, work_dir: Path, data_root: Path, seed: int, iterations: int
) -> dict[str, dict]:
    """Train and test both models in two processes, each with half of the cores.

    Args:
        subject: names the models.
        work_dir: gets a folder for each, with its log.
        data_root: where the scenes are.
        seed: of the trainings.
        iterations: of each training.

    Returns:
        model -> `results` (row -> metric -> percent), seconds of its `training` and `testing`.

    Raises:
        RuntimeError: if a training or test fails; the message names the log.
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, usable_cores() // len(subject.configs))
    processes = {
        name: context.Process(
            target=_run_one,
            args=(subject, name, work_dir / name, data_root, seed, iterations, threads),
        )
        for name in subject.configs
    }
    with exit_when_terminated():
        try:
            _start(processes, work_dir, threads)
            _wait(processes, work_dir, iterations)
        finally:
            for process in processes.values():
                if process.pid is not None:
                    process.kill()
    return {name: json.loads(_outcome_file(work_dir / name).read_text()) for name in processes}


def _start(processes: dict, work_dir: Path, threads: int) -> None:
    """Start the processes, each in a folder that holds no outcome of before."""
    # torch reads this when it is imported, which in a spawned process is before _run_one runs.
    inherited = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        for name, process in processes.items():
            (work_dir / name).mkdir(exist_ok=True)
            _outcome_file(work_dir / name).unlink(missing_ok=True)
            process.start()
    finally:
        if inherited is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = inherited


def _run_one(
    subject: Subject,
    name: str,
    work_dir: Path,
    data_root: Path,
    seed: int,
    iterations: int,
    threads: int,
) -> None:
    """Train one model, test it, and write what came out."""
    import torch

    torch.set_num_threads(threads)
    log = os.open(_log_file(work_dir), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    config, data = shipped_config(subject.configs[name]), subject.data_options(data_root)
    start = time.perf_counter()
    warm_up = min(subject.warm_up, iterations // 2)
    schedule = {
        "randomness.seed": seed,
        "train_cfg.max_iters": iterations,
        "train_cfg.val_interval": iterations + 1,
        "default_hooks.checkpoint.interval": iterations,
        "param_scheduler.0.end": warm_up,
        "param_scheduler.1.begin": warm_up,
        "param_scheduler.1.end": iterations,
    }
    train(config, work_dir=work_dir, options=data | schedule)
    trained = time.perf_counter()
    found = test(config, work_dir / f"iter_{iterations}.pth", work_dir / "test", options=data)
    results = {
        row: {
            ours: round(subject.percent * float(found[metric.format(prefix)]), 2)
            for ours, metric in subject.metrics.items()
        }
        for row, (_, model, prefix) in subject.rows.items()
        if model == name
    }
    outcome = dict(
        results=results,
        training=round(trained - start, 1),
        testing=round(time.perf_counter() - trained, 1),
    )
    _outcome_file(work_dir).write_text(json.dumps(outcome))


def _wait(processes: dict, work_dir: Path, iterations: int) -> None:
    """Wait for both processes and report how far they are."""
    start = printed = time.perf_counter()
    while any(process.is_alive() for process in processes.values()):
        time.sleep(POLL_SECONDS)
        for name, process in processes.items():
            if process.exitcode not in (None, 0):
                raise RuntimeError(f"{name} failed; see {_log_file(work_dir / name)}")
        now = time.perf_counter()
        if now - printed >= PRINT_SECONDS:
            printed = now
            state = "   ".join(
                f"{name} {_iteration(work_dir / name)}/{iterations}" for name in processes
            )
            print(f"     {now - start:4.0f} s   {state}", flush=True)


def _iteration(work_dir: Path) -> int:
    """Read how far a training is from the scalars that mmengine writes as it goes."""
    logs = sorted(work_dir.glob("*/vis_data/scalars.json"), key=os.path.getmtime)
    lines = logs[-1].read_text().splitlines() if logs else []
    # Lines about validation have no iteration.
    return max((json.loads(line).get("iter", 0) for line in lines), default=0)


def _log_file(work_dir: Path) -> Path:
    return work_dir / "output.log"


def _outcome_file(work_dir: Path) -> Path:
    return work_dir / "outcome.json"
