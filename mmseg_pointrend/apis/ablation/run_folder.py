"""The folder of a run, which is one training with one seed and its tests.

Convention: `config.py` is the whole config of the training, `run.json` what is tested; both say
what the run is, and a folder never changes it. `training/` holds logs and checkpoints, `tests/` the
logs of the tests, `output.log` what the process printed. `result.json` appears last, whole.
"""

import difflib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.apis.ablation.sweeps import WIDTHS, Training
from mmseg_pointrend.apis.configs import load_config

#: How many checkpoints a training writes on its way, to go on from.
CHECKPOINTS = 10


@dataclass(frozen=True)
class Run:
    """One training with one seed.

    Attributes:
        training: name of the training.
        seed: its seed.
        folder: where everything about it goes.
        config: text of the whole config.
        tests: name of the variant -> options of the test run.
    """

    training: str
    seed: int
    folder: Path
    config: str
    tests: dict[str, dict]

    @property
    def label(self) -> str:
        """What progress calls it."""
        return f"{self.training}, seed {self.seed}"

    @property
    def log(self) -> Path:
        """What its process printed."""
        return self.folder / "output.log"

    def result(self) -> dict[str, dict[str, float]] | None:
        """Read variant -> metric -> value; None if the run is not finished."""
        file = self.folder / "result.json"
        return json.loads(file.read_text())["metrics"] if file.is_file() else None


def plan_run(
    training: Training,
    seed: int,
    work_dir: Path,
    config_path: Path,
    iterations: int | None = None,
    options: dict | None = None,
    widths: tuple[int, ...] | None = None,
) -> Run:
    """Put a run's config together; nothing is written.

    Args:
        training: what is trained and tested.
        seed: seed of the training.
        work_dir: the sweep's folder.
        config_path: the sweep's config, which `training.config` precedes.
        iterations: length of the training, >= 2; the config's by default. The schedule scales.
        options: dotted config keys and values that override the file; the variant's precede them.
        widths: trimap widths in pixels; by default those of the config, or `WIDTHS`.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: for fewer than 2 iterations.
    """
    path = training.config or config_path
    config = load_config(path, options)
    config.merge_from_dict(_scale_schedule(config, iterations))
    config.merge_from_dict({"randomness.seed": seed, "test_evaluator": _evaluators(config, widths)})
    config.merge_from_dict(training.options)
    return Run(
        training.name,
        seed,
        work_dir / training.name / f"seed-{seed}",
        config.pretty_text,
        training.variants,
    )


def _scale_schedule(config: Config, iterations: int | None) -> dict:
    """Stretch the learning rate's schedule, test once at the end, and write checkpoints."""
    before = config.train_cfg.max_iters
    iterations = before if iterations is None else iterations
    if iterations < 2:
        raise ValueError(f"iterations must be at least 2, got {iterations}")
    options = {
        "train_cfg.max_iters": iterations,
        "train_cfg.val_interval": iterations + 1,
        "default_hooks.checkpoint.interval": max(1, iterations // CHECKPOINTS),
        # The one before is there while the last is being written.
        "default_hooks.checkpoint.max_keep_ckpts": 2,
    }
    for number, schedule in enumerate(config.get("param_scheduler") or []):
        for key in ("begin", "end"):
            if schedule.get(key):
                scaled = max(1, round(schedule[key] * iterations / before))
                options[f"param_scheduler.{number}.{key}"] = scaled
    return options


def _evaluators(config: Config, widths: tuple[int, ...] | None) -> list[dict]:
    """Add the mean IoU near boundaries to the config's metrics, or set its widths."""
    evaluators = config.test_evaluator
    evaluators = evaluators if isinstance(evaluators, list | tuple) else [evaluators]
    evaluators = [dict(evaluator) for evaluator in evaluators]
    trimaps = [metric for metric in evaluators if metric["type"] == "TrimapIoUMetric"]
    if not trimaps:
        trimaps = [dict(type="TrimapIoUMetric", widths=WIDTHS)]
        evaluators += trimaps
    if widths is not None:
        trimaps[0]["widths"] = widths
    return evaluators


def prepare_folder(run: Run) -> None:
    """Write what a run is into its folder, or check that the folder is this run's.

    Raises:
        ValueError: if the folder holds a run with other settings.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    tests = json.dumps(run.tests, indent=2) + "\n"
    for name, text in (("config.py", run.config), ("run.json", tests)):
        file = run.folder / name
        if not file.exists():
            write_whole(file, text)
        elif (found := file.read_text()) != text:
            raise ValueError(
                f"{run.folder} holds a run with other settings ({_first_difference(found, text)}); "
                "give another work-dir, or delete this folder first"
            )


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
