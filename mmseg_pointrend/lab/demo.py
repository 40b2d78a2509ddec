"""The demonstration: does PointRend sharpen boundaries? Measured and drawn in minutes.

Generated scenes, a small PointRend model and the same model without PointRend, trained alike; both
are measured, and PointRend's own coarse prediction beside them.
"""

import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.apis.testing import test
from mmseg_pointrend.apis.training import train
from mmseg_pointrend.lab.figures.comparison import draw_comparison
from mmseg_pointrend.lab.machine import usable_cores
from mmseg_pointrend.lab.scenes import write_scenes

CONFIGS = {
    "baseline": "sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py",
    "pointrend": "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py",
}
#: Metric in the report -> metric of the test run.
METRICS = {
    "mIoU": "mIoU",
    "mIoU_2px": "trimap/mIoU_2px",
    "mIoU_4px": "trimap/mIoU_4px",
    "mIoU_8px": "trimap/mIoU_8px",
}
#: Row of the report -> (model, prefix of its metrics in the model's test run).
ROWS = {
    "baseline": ("baseline", ""),
    "coarse": ("pointrend", "coarse/"),
    "pointrend": ("pointrend", ""),
}
POLL_SECONDS = 1
PRINT_SECONDS = 15


def demo(
    work_dir: str | Path = "work_dirs/demo",
    data_root: str | Path = "data/demo_scenes",
    seed: int = 0,
    iterations: int = 1000,
    num_train: int = 240,
    num_val: int = 60,
) -> dict:
    """Run the demonstration for one seed.

    Writes `report.json` and `comparison.png` into `work_dir`, the models and logs below it.

    Args:
        work_dir: where results go.
        data_root: where the scenes are, or are to be written.
        seed: seed of the trainings (the scenes are always the same).
        iterations: length of each training.
        num_train: training scenes.
        num_val: validation scenes.

    Returns:
        the report: `results` (row -> metric -> percent), `seed`, `seconds` and what was run.

    Raises:
        RuntimeError: if a training or test fails; the message names the log.
        ValueError: if `data_root` holds something else, or for fewer than 2 iterations.
    """
    if iterations < 2:
        raise ValueError(f"iterations must be at least 2, got {iterations}")
    work_dir, start = Path(work_dir), time.perf_counter()
    work_dir.mkdir(parents=True, exist_ok=True)
    print(f"1/3  scenes: {num_train} for training, {num_val} for validation, in {data_root}")
    write_scenes(data_root, num_train, num_val)
    scenes_done = time.perf_counter()

    print(f"2/3  training and testing both models, {iterations} iterations each, at the same time")
    outcomes = _run_both(work_dir, Path(data_root), seed, iterations)
    models_done = time.perf_counter()

    print("3/3  drawing the comparison")
    checkpoint = work_dir / "pointrend" / f"iter_{iterations}.pth"
    picture = work_dir / "comparison.png"
    draw_comparison(
        shipped_config(CONFIGS["pointrend"]), checkpoint, picture, options=_data_options(data_root)
    )
    report = dict(
        results={row: outcomes[model]["results"][row] for row, (model, _) in ROWS.items()},
        seed=seed,
        iterations=iterations,
        scenes=dict(train=num_train, val=num_val),
        seconds=dict(
            scenes=round(scenes_done - start, 1),
            training={name: outcome["training"] for name, outcome in outcomes.items()},
            testing={name: outcome["testing"] for name, outcome in outcomes.items()},
            training_and_testing=round(models_done - scenes_done, 1),
            total=round(time.perf_counter() - start, 1),
        ),
        machine=f"{platform.machine()}, {usable_cores()} cores",
    )
    (work_dir / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def format_table(reports: Sequence[dict]) -> str:
    """Lay the results out as a table: percent; of several seeds mean ± standard deviation."""
    lines = ["".join(["".ljust(24), *(name.rjust(14) for name in METRICS)])]
    labels = dict(
        baseline="SemanticFPN", coarse="PointRend, coarse map", pointrend="PointRend, rendered"
    )
    for row, label in labels.items():
        cells = []
        for name in METRICS:
            values = [report["results"][row][name] for report in reports]
            cell = f"{statistics.fmean(values):.2f}"
            if len(values) > 1:
                cell += f" ± {statistics.stdev(values):.2f}"
            cells.append(cell.rjust(14))
        lines.append(label.ljust(24) + "".join(cells))
    return "\n".join(lines)


def _data_options(data_root: str | Path) -> dict:
    return {
        f"{split}_dataloader.dataset.data_root": str(data_root)
        for split in ("train", "val", "test")
    }


def _run_both(work_dir: Path, data_root: Path, seed: int, iterations: int) -> dict[str, dict]:
    """Train and test both models in two processes, each with half of the cores."""
    context = multiprocessing.get_context("spawn")
    threads = max(1, usable_cores() // len(CONFIGS))
    processes = {
        name: context.Process(
            target=_run_one, args=(name, work_dir / name, data_root, seed, iterations, threads)
        )
        for name in CONFIGS
    }
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
    try:
        _wait(processes, work_dir, iterations)
    finally:
        for process in processes.values():
            process.kill()
    return {name: json.loads(_outcome_file(work_dir / name).read_text()) for name in CONFIGS}


def _run_one(
    name: str, work_dir: Path, data_root: Path, seed: int, iterations: int, threads: int
) -> None:
    """Train one model, test it, and write what came out."""
    import torch

    torch.set_num_threads(threads)
    log = os.open(_log_file(work_dir), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    config = shipped_config(CONFIGS[name])
    data = _data_options(data_root)
    start = time.perf_counter()
    warm_up = min(50, iterations // 2)
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
        row: {ours: round(float(found[prefix + key]), 2) for ours, key in METRICS.items()}
        for row, (model, prefix) in ROWS.items()
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
