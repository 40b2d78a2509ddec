"""A sweep from its name to its table: what is finished is kept, the rest is run."""

import time
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.apis.ablation.plot import plot_rows
from mmseg_pointrend.apis.ablation.run_folder import Run, plan_run, prepare_folder, write_whole
from mmseg_pointrend.apis.ablation.sweeps import SWEEPS, build_sweep
from mmseg_pointrend.apis.ablation.table import Row, format_csv, format_markdown
from mmseg_pointrend.apis.ablation.workers import last_lines, run_all
from mmseg_pointrend.apis.configs import load_config, shipped_config
from mmseg_pointrend.datasets import write_scenes

#: The model of the demonstration, on generated scenes.
DEFAULT_CONFIG = "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"


def run_sweep(
    name: str,
    work_dir: str | Path | None = None,
    seeds: Sequence[int] = (0,),
    iterations: int | None = None,
    workers: int | None = None,
    config_path: str | Path | None = None,
    slurm: str | None = None,
    options: dict | None = None,
) -> list[Run]:
    """Train and test every variant of a sweep with every seed.

    Finished runs in `work_dir` are kept, interrupted trainings go on from their last checkpoint.
    Writes `results.csv` (a line for each variant and seed), `results.md` (means and standard
    deviations over seeds) and `results.png`. Generated scenes are drawn if they are missing.

    Args:
        name: a key of `SWEEPS`.
        work_dir: where everything goes; work_dirs/ablation/<name>/<config's name> by default.
        seeds: seeds of the trainings.
        iterations: length of each training; the config's by default.
        workers: runs at a time; 2 by default, under Slurm all.
        config_path: config of a PointRend model; by default the demonstration's.
        slurm: Slurm partition, where each run is an `srun`; None for this machine.
        options: dotted config keys and values that override the config.

    Returns:
        The runs that failed.

    Raises:
        FileNotFoundError: if the config does not exist.
        ValueError: for an unknown sweep, settings out of range, or a `work_dir` that holds runs
            with other settings.
    """
    config_path = Path(config_path or shipped_config(DEFAULT_CONFIG))
    work_dir = Path(work_dir or Path("work_dirs/ablation") / name / config_path.stem)
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be different numbers, at least one, got {list(seeds)}")
    sweep = build_sweep(name, config_path, options)
    runs = [
        plan_run(training, seed, work_dir, config_path, iterations, options, sweep.widths)
        for seed in seeds
        for training in sweep.trainings
    ]
    for run in runs:
        prepare_folder(run)
    _draw_missing_scenes(load_config(config_path, options))
    failed = _run_unfinished(runs, workers, slurm)
    rows = collect_rows(runs)
    if rows:
        write_whole(work_dir / "results.csv", format_csv(rows))
        write_whole(work_dir / "results.md", format_markdown(rows))
        plot_rows(rows, f"{sweep.title} ({sweep.source})", work_dir / "results.png")
        print(f"\n{format_markdown(rows)}\nWritten: results.csv, .md and .png in {work_dir}")
    for run in failed:
        last = last_lines(run.log)
        print(f"failed: {run.label}; see {run.log}\n        {last}", flush=True)
    return failed


def describe_sweeps(
    name: str | None = None, config_path: str | Path | None = None, options: dict | None = None
) -> str:
    """List the sweeps, or the variants of one, with the paper's table and the options of each.

    Args:
        name: a key of `SWEEPS`; all by default.
        config_path: config of a PointRend model; by default the demonstration's.
        options: dotted config keys and values that override the config.

    Raises:
        FileNotFoundError: if the config does not exist.
        ValueError: for an unknown sweep, or a config that it cannot take.
    """
    config_path = config_path or shipped_config(DEFAULT_CONFIG)
    lines = []
    for each in SWEEPS if name is None else [name]:
        sweep = build_sweep(each, config_path, options)
        lines.append(f"{each}: {sweep.title} ({sweep.source})")
        for training in sweep.trainings:
            for variant, tests in training.variants.items():
                changed = training.options | tests
                text = ", ".join(f"{key}={value}" for key, value in changed.items())
                lines.append(f"    {variant:<40} {text}".rstrip())
    return "\n".join(lines)


def collect_rows(runs: Sequence[Run]) -> list[Row]:
    """Read what is finished: variants in the sweep's order, each with its seeds."""
    rows = []
    for training in dict.fromkeys(run.training for run in runs):
        same = [(run, run.result()) for run in runs if run.training == training]
        finished = [(run, result) for run, result in same if result is not None]
        for variant in finished[0][0].tests if finished else ():
            rows += [Row(variant, run.seed, result[variant]) for run, result in finished]
    return rows


def _run_unfinished(runs: Sequence[Run], workers: int | None, slurm: str | None) -> list[Run]:
    """Run what has no result, and print a line whenever one ends."""
    unfinished = [run for run in runs if run.result() is None]
    print(f"{len(runs)} runs, {len(runs) - len(unfinished)} of them finished before", flush=True)
    start, ended, failed = time.perf_counter(), [], []

    def tell(run: Run, succeeded: bool) -> None:
        ended.append(run)
        if succeeded:
            values = list(run.result().values())[-1]
            state = f"mIoU {values['mIoU']:.2f}" if "mIoU" in values else "done"
        else:
            failed.append(run)
            state = f"FAILED, see {run.log}"
        remain = len(unfinished) - len(ended)
        seconds = time.perf_counter() - start
        print(f"{seconds:7.0f} s   {run.label}: {state}   ({remain} remain)", flush=True)

    run_all(unfinished, workers, slurm, tell)
    return failed


def _draw_missing_scenes(config: Config) -> None:
    """Draw the generated scenes of a config unless its folder holds some."""
    for split in ("train", "test"):
        dataset = config[f"{split}_dataloader"].dataset
        root = dataset.get("data_root")
        if dataset.type == "DemoScenesDataset" and not (Path(root) / "scenes.json").exists():
            write_scenes(root)
