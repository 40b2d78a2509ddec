"""Sweeps from their names to their tables: what is finished is kept, the rest is run."""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.apis.shipped import find_config, shipped_config
from mmseg_pointrend.lab.ablation.plot import plot_rows
from mmseg_pointrend.lab.ablation.results_table import Row, format_csv, format_markdown
from mmseg_pointrend.lab.ablation.run_folder import (
    Run,
    check_folder,
    merge_runs,
    plan_run,
    prepare_folder,
    write_whole,
)
from mmseg_pointrend.lab.ablation.sweeps import Sweep, build_sweep, fitting_sweeps, sweeps_of
from mmseg_pointrend.lab.ablation.tasks import HEADLINES
from mmseg_pointrend.lab.ablation.workers import last_lines, run_all
from mmseg_pointrend.lab.scenes import write_calm_scenes, write_instance_scenes, write_scenes
from mmseg_pointrend.lab.scenes.instances import CLASSES

#: The model of the demonstration, on busy generated scenes.
DEFAULT_CONFIG = "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
#: The detector of the demonstration, on generated scenes.
DETECTOR_CONFIG = "mask_rcnn/pointrend-mask-rcnn_r18-small_1xb2-1k_demo-scenes-192x384.py"


def demo_config(instance: bool = False) -> Path:
    """Find the config of the demonstration's model, on generated scenes.

    Args:
        instance: the detector's, not the segmentor's.
    """
    return shipped_config(DETECTOR_CONFIG if instance else DEFAULT_CONFIG)


def run_sweeps(
    names: Sequence[str] | None = None,
    work_dir: str | Path | None = None,
    seeds: Sequence[int] = (0,),
    iterations: int | None = None,
    workers: int | None = None,
    config_path: str | Path | None = None,
    slurm: str | None = None,
    options: dict | None = None,
) -> list[Run]:
    """Train and test every variant of some sweeps with every seed.

    Finished trainings and tests in `work_dir` are kept, whichever sweep they were made for;
    interrupted trainings go on from their last checkpoint. For each sweep `<sweep>.csv` (a line for
    each variant and seed), `<sweep>.md` (means and standard deviations over seeds) and
    `<sweep>.png` are written whenever a run has ended. Generated scenes are drawn if they are
    missing.

    Args:
        names: keys of `SWEEPS` for the config's task; by default all that the config can take, see
            `fitting_sweeps`.
        work_dir: where everything goes; work_dirs/ablation/<config's name> by default.
        seeds: seeds of the trainings.
        iterations: length of each training; the config's by default. Not for one of epochs.
        workers: runs at a time; 2 by default, under Slurm all.
        config_path: config of a segmentor or detector with PointRend; by default the
            demonstration's segmentor.
        slurm: Slurm partition, where each run is an `srun`; None for this machine.
        options: dotted config keys and values that override the config.

    Returns:
        the runs that failed.

    Raises:
        FileNotFoundError: if the config does not exist.
        ValueError: for an unknown sweep, settings out of range, or a `work_dir` that holds runs
            with other settings, is in use or cannot be written.
    """
    config_path = find_config(config_path or demo_config())
    work_dir = Path(work_dir or Path("work_dirs/ablation") / config_path.stem)
    config = load_config(config_path, options)
    known = list(sweeps_of(config))
    if names is None:
        names = fitting_sweeps(config_path, options)
        if left_out := [name for name in known if name not in names]:
            print(f"Left out, as they do not take this config: {', '.join(left_out)}")
    if not names:
        raise ValueError(f"names must have at least one sweep, got none; there are {known}")
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be different numbers, at least one, got {list(seeds)}")
    sweeps = {name: build_sweep(name, config_path, options) for name in names}
    runs = merge_runs([
        plan_run(training, seed, work_dir, config_path, iterations, options)
        for seed in seeds
        for sweep in sweeps.values()
        for training in sweep.trainings
    ])  # fmt: skip
    with _claim(work_dir) as lock:
        # All of them before the first is written: a mistaken command leaves nothing behind.
        for run in runs:
            check_folder(run)
        for run in runs:
            prepare_folder(run)
        _draw_missing_scenes(config)
        failed = _run_unfinished(runs, sweeps, work_dir, workers, slurm, lock)
        for name in _write_tables(runs, sweeps, work_dir):
            print(f"\n{name}\n\n{(work_dir / f'{name}.md').read_text()}")
            print(f"Written: {name}.csv, .md and .png in {work_dir}")
    for run in failed:
        last = last_lines(run.log)
        print(f"failed: {run.label}; see {run.log}\n        {last}", flush=True)
    return failed


def describe_sweeps(
    names: Sequence[str] | None = None,
    config_path: str | Path | None = None,
    options: dict | None = None,
) -> str:
    """List the variants of sweeps, with the paper's table and the options of each.

    Args:
        names: keys of `SWEEPS` for the config's task; by default all that the config can take, see
            `fitting_sweeps`.
        config_path: config of a segmentor or detector with PointRend; by default the
            demonstration's segmentor.
        options: dotted config keys and values that override the config.

    Raises:
        FileNotFoundError: if the config does not exist.
        ValueError: for an unknown sweep, or a config that it cannot take.
    """
    config_path = config_path or demo_config()
    lines = []
    for name in fitting_sweeps(config_path, options) if names is None else names:
        sweep = build_sweep(name, config_path, options)
        lines.append(f"{name}: {sweep.title} ({sweep.source})")
        for training in sweep.trainings:
            for variant, tests in training.variants.items():
                changed = training.options | tests
                text = ", ".join(f"{key}={value}" for key, value in changed.items())
                lines.append(f"    {variant:<40} {text}".rstrip())
    return "\n".join(lines)


def collect_rows(sweep: Sweep, runs: Sequence[Run]) -> list[Row]:
    """Read what is finished: variants in the sweep's order, each with its seeds."""
    rows = []
    for training in sweep.trainings:
        same = [run for run in runs if run.training == training.name]
        for variant, options in training.variants.items():
            results = [(run.seed, run.result(options)) for run in same]
            rows += [Row(variant, seed, found) for seed, found in results if found is not None]
    return rows


def _write_tables(runs: Sequence[Run], sweeps: Mapping[str, Sweep], work_dir: Path) -> list[str]:
    """Write table and plot of every sweep that has a result, and return their names."""
    written = []
    for name, sweep in sweeps.items():
        if rows := collect_rows(sweep, runs):
            write_whole(work_dir / f"{name}.csv", format_csv(rows))
            write_whole(work_dir / f"{name}.md", format_markdown(rows))
            title = f"{sweep.title} ({sweep.source})"
            plot_rows(rows, title, work_dir / f"{name}.png", sweep.over_widths)
            written.append(name)
    return written


@contextlib.contextmanager
def _claim(work_dir: Path) -> Iterator[int]:
    """Keep a second command out of a folder; yield the lock's file descriptor.

    The lock ends with the last process that has the descriptor, however it ends.
    """
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        file = open(work_dir / ".lock", "w")
    except OSError as error:
        raise ValueError(f"work_dir {work_dir} cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"another command, or a run that it left behind, is at work in {work_dir}; "
                "wait for it, or give another work-dir"
            ) from error
        yield file.fileno()


def _run_unfinished(
    runs: Sequence[Run],
    sweeps: Mapping[str, Sweep],
    work_dir: Path,
    workers: int | None,
    slurm: str | None,
    lock: int,
) -> list[Run]:
    """Run what has no result; whenever a run ends, print a line and write the tables."""
    unfinished = [run for run in runs if not run.is_finished]
    print(
        f"{len(runs)} runs, {len(runs) - len(unfinished)} of them finished before; "
        f"logs: {work_dir}/runs/*/*/output.log",
        flush=True,
    )
    start, ended, failed = time.perf_counter(), [], []

    def tell(run: Run, succeeded: bool) -> None:
        ended.append(run)
        if succeeded:
            told = [(name, value) for name, value in (run.result({}) or {}).items()
                    if name in HEADLINES]  # fmt: skip
            state = ", ".join(f"{name} {value:.2f}" for name, value in told) or "done"
        else:
            failed.append(run)
            state = f"FAILED, see {run.log}"
        remain = len(unfinished) - len(ended)
        seconds = time.perf_counter() - start
        print(f"{seconds:7.0f} s   {run.label}: {state}   ({remain} remain)", flush=True)
        _write_tables(runs, sweeps, work_dir)

    run_all(unfinished, workers, slurm, tell, held=(lock,))
    return failed


def _draw_missing_scenes(config: Config) -> None:
    """Draw the generated scenes of a config unless its folder holds some."""
    for split in ("train", "test"):
        dataset = config[f"{split}_dataloader"].dataset
        write = _writer_of_scenes(dataset)
        if write is not None and not (Path(dataset.data_root) / "scenes.json").exists():
            write(dataset.data_root)


def _writer_of_scenes(dataset: dict) -> Callable[[str], None] | None:
    """Find what writes a data set; None for one that is not of generated scenes."""
    if dataset.get("type") == "DemoScenesDataset":
        return write_scenes
    if dataset.get("type") == "CalmScenesDataset":
        return write_calm_scenes
    # mmdet's class reads them: what tells them from other data is their classes.
    classes = (dataset.get("metainfo") or {}).get("classes") or ()
    return write_instance_scenes if tuple(classes) == tuple(CLASSES) else None
