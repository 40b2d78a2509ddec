"""A demonstration from its scenes to its report."""

import json
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.lab.demo.subject import BASELINE, POINTREND, Subject
from mmseg_pointrend.lab.demo.trainings import train_and_test
from mmseg_pointrend.lab.figures.comparison import NothingToDrawError, draw_comparison
from mmseg_pointrend.lab.machine import usable_cores


def demo(
    subject: Subject,
    work_dir: str | Path,
    data_root: str | Path,
    seed: int = 0,
    iterations: int = 1000,
    num_train: int = 240,
    num_val: int = 60,
) -> dict:
    """Run a demonstration for one seed.

    Writes `report.json` and `comparison.png` into `work_dir`, the models and logs below it.

    Args:
        subject: what is compared.
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
    work_dir, data_root, start = Path(work_dir), Path(data_root), time.perf_counter()
    work_dir.mkdir(parents=True, exist_ok=True)
    print(f"1/3  scenes: {num_train} for training, {num_val} for validation, in {data_root}")
    subject.write_scenes(data_root, num_train, num_val)
    scenes_done = time.perf_counter()

    print(f"2/3  training and testing both models, {iterations} iterations each, at the same time")
    outcomes = train_and_test(subject, work_dir, data_root, seed, iterations)
    models_done = time.perf_counter()

    print("3/3  drawing the comparison")
    trained = {
        name: (shipped_config(config), work_dir / name / f"iter_{iterations}.pth")
        for name, config in subject.configs.items()
    }
    try:
        draw_comparison(
            *trained[POINTREND],
            work_dir / "comparison.png",
            baseline=trained[BASELINE] if subject.draws_baseline else None,
            options=subject.data_options(data_root),
        )
    except NothingToDrawError as error:
        print(f"     {error}")
    report = dict(
        results={name: outcomes[row.model]["results"][name] for name, row in subject.rows.items()},
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


def format_table(subject: Subject, reports: Sequence[dict]) -> str:
    """Lay the results out as a table: percent; of several seeds mean ± standard deviation."""
    lines = ["".join(["".ljust(24), *(name.rjust(14) for name in subject.metrics)])]
    for row, (label, *_) in subject.rows.items():
        cells = []
        for name in subject.metrics:
            values = [report["results"][row][name] for report in reports]
            cell = f"{statistics.fmean(values):.2f}"
            if len(values) > 1:
                cell += f" ± {statistics.stdev(values):.2f}"
            cells.append(cell.rjust(14))
        lines.append(label.ljust(24) + "".join(cells))
    return "\n".join(lines)
