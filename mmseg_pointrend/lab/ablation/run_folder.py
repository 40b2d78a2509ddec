"""The folder of a run, which is one training with one seed and the tests of its model.

Convention: `config.py` is the whole config of the training; it says what the run is, and a folder
never changes it. `training/` holds logs and checkpoints, `output.log` what the process printed.
`tests/` has a folder for each test: `options.json` asks for it, `result.json` appears last, whole.
So several sweeps share a training, and a test that one of them asked for is there for the others.
"""

import difflib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.apis.evaluators import list_evaluators
from mmseg_pointrend.apis.tasks import task_of
from mmseg_pointrend.lab.ablation.sweeps import Training
from mmseg_pointrend.lab.ablation.tasks import swept_task

#: How many checkpoints a training writes on its way, to go on from.
CHECKPOINTS = 10
#: What a schedule of mmengine counts in iterations.
_LENGTHS = ("begin", "end", "T_max", "milestones", "step_size")


@dataclass(frozen=True)
class Run:
    """One training with one seed, and the tests of its model.

    Attributes:
        training: name of the training.
        seed: its seed.
        folder: where everything about it goes.
        config: text of the whole config.
        tests: options of each test.
    """

    training: str
    seed: int
    folder: Path
    config: str
    tests: tuple[dict, ...]

    @property
    def label(self) -> str:
        """What progress calls it."""
        return f"{self.training}, seed {self.seed}"

    @property
    def log(self) -> Path:
        """What its process printed."""
        return self.folder / "output.log"

    @property
    def is_finished(self) -> bool:
        """Whether every test has its result."""
        return all(self.result(options) is not None for options in self.tests)

    def result(self, options: dict) -> dict[str, float] | None:
        """Read the metrics of a test, by the names they have now; None if it is not finished."""
        file = self.test_folder(options) / "result.json"
        if not file.is_file():
            return None
        metrics = json.loads(file.read_text())["metrics"]
        # Older files say mIoU@2px.
        return {name.replace("mIoU@", "mIoU_"): value for name, value in metrics.items()}

    def test_folder(self, options: dict) -> Path:
        """Find the folder of a test: equal options, equal folder."""
        text = json.dumps(options, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:12] if options else "as-trained"
        return self.folder / "tests" / name


def plan_run(
    training: Training,
    seed: int,
    work_dir: Path,
    config_path: Path,
    iterations: int | None = None,
    options: dict | None = None,
) -> Run:
    """Put a run's config together; nothing is written.

    Args:
        training: what is trained and tested.
        seed: seed of the training.
        work_dir: of the config's sweeps.
        config_path: the sweep's config, which `training.config` precedes.
        iterations: length of the training, >= 2; the config's by default. The schedule scales. Not
            for a config that counts epochs.
        options: dotted config keys and values that override the file; the variant's precede them.
            A baseline is given those that are not PointRend's.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: for fewer than 2 iterations, or iterations of a config that counts epochs, or a
            config that does not say how long it trains or does not test.
    """
    path = training.config or config_path
    options = options or {}
    config = load_config(path)
    task, has_pointrend = swept_task(config), task_of(config).is_pointrend(config.model)
    if not has_pointrend:
        lacking = task.pointrend_options
        options = {key: options[key] for key in options if not key.startswith(lacking)}
    config = load_config(path, options)
    config.merge_from_dict(scale_schedule(config, iterations))
    config.merge_from_dict({"randomness.seed": seed, "test_evaluator": _evaluators(config)})
    if has_pointrend:
        # The coarse prediction, where it is wanted, is a variant of its own.
        config.merge_from_dict({task.switch: False})
    config.merge_from_dict(training.options)
    return Run(
        training.name,
        seed,
        work_dir / "runs" / training.name / f"seed-{seed}",
        config.pretty_text,
        tuple(training.variants.values()),
    )


def merge_runs(runs: Sequence[Run]) -> list[Run]:
    """Join the runs of the same training and seed into one that has the tests of all."""
    merged: dict[Path, Run] = {}
    for run in runs:
        before = merged.get(run.folder)
        tests = () if before is None else before.tests
        tests += tuple(options for options in run.tests if options not in tests)
        merged[run.folder] = replace(run, tests=tests)
    return list(merged.values())


def scale_schedule(config: Config, iterations: int | None) -> dict:
    """Stretch the learning rate's schedule, do not validate on the way, and write checkpoints."""
    unit, before = training_length(config)
    if unit == "epoch" and iterations is not None:
        raise ValueError(
            f"config {config.filename} trains for {before} epochs, so iterations={iterations} "
            "cannot be; set train_cfg.max_epochs and param_scheduler instead"
        )
    length = before if iterations is None else iterations
    if unit == "iter" and length < 2:
        raise ValueError(f"iterations must be at least 2, got {length}")
    options = {
        f"train_cfg.max_{unit}s": length,
        "train_cfg.val_interval": length + 1,
        "default_hooks.checkpoint.by_epoch": unit == "epoch",
        "default_hooks.checkpoint.interval": max(1, length // CHECKPOINTS),
        # The one before is there while the last is being written.
        "default_hooks.checkpoint.max_keep_ckpts": 2,
    }
    if length == before:
        return options
    schedules = config.get("param_scheduler") or []
    alone = isinstance(schedules, dict)
    for number, schedule in enumerate([schedules] if alone else schedules):
        prefix = "param_scheduler" if alone else f"param_scheduler.{number}"
        for key in _LENGTHS:
            if schedule.get(key):
                options[f"{prefix}.{key}"] = _scale(schedule[key], length / before)
    return options


def training_length(config: Config) -> tuple[str, int]:
    """Tell what a config counts, "iter" or "epoch" as in its checkpoints' names, and how many.

    Raises:
        ValueError: if it does not say how long it trains.
    """
    train_cfg = config.get("train_cfg") or {}
    for unit in ("iter", "epoch"):
        if train_cfg.get(f"max_{unit}s"):
            return unit, train_cfg[f"max_{unit}s"]
    raise ValueError(
        f"config {config.filename} must say how long it trains: it has no train_cfg.max_iters, and "
        "no train_cfg.max_epochs"
    )


def _scale(length: int | Sequence[int], factor: float) -> int | list[int]:
    if isinstance(length, list | tuple):
        return [_scale(part, factor) for part in length]
    return max(1, round(length * factor))


def _evaluators(config: Config) -> list[dict]:
    """List what the runs of a config measure."""
    evaluators = list_evaluators(config)
    if not evaluators:
        raise ValueError(f"config {config.filename} must have a test_evaluator")
    return swept_task(config).measure(evaluators)


def check_folder(run: Run) -> None:
    """Raise ValueError if a run's folder holds a run with other settings."""
    config = run.folder / "config.py"
    if config.exists() and (found := config.read_text()) != run.config:
        raise ValueError(
            f"{run.folder} holds a run with other settings "
            f"({_first_difference(found, run.config)}); "
            "give another work-dir, or delete this folder first"
        )


def prepare_folder(run: Run) -> None:
    """Write what a run is into its folder, which `check_folder` has found to be this run's."""
    run.folder.mkdir(parents=True, exist_ok=True)
    config = run.folder / "config.py"
    if not config.exists():
        write_whole(config, run.config)
    for options in run.tests:
        folder = run.test_folder(options)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "options.json", json.dumps(options, indent=2) + "\n")


def _first_difference(found: str, asked: str) -> str:
    lines = difflib.ndiff(found.splitlines(), asked.splitlines())
    changed = [line for line in lines if line[0] in "-+"]
    there = next((line[1:].strip() for line in changed if line[0] == "-"), "nothing")
    here = next((line[1:].strip() for line in changed if line[0] == "+"), "nothing")
    return f"there: {there} asked: {here}"


def write_whole(file: Path, text: str) -> None:
    """Write a file that is either whole or not there, even when the process is stopped."""
    part = file.with_name(file.name + ".part")
    part.write_text(text)
    os.replace(part, file)
