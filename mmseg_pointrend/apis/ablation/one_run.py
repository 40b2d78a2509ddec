"""The process of one run: python -m mmseg_pointrend.apis.ablation.one_run FOLDER [LAUNCHER]."""

import json
import sys
import time
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import find_latest_checkpoint

from mmseg_pointrend.apis.ablation.run_folder import write_whole
from mmseg_pointrend.apis.testing import test
from mmseg_pointrend.apis.training import train


def train_and_test(folder: str | Path, launcher: str = "none") -> None:
    """Train what a run's folder asks for, from its last checkpoint on, and do its missing tests.

    Args:
        folder: see `run_folder`.
        launcher: "none", "pytorch", "slurm" or "mpi".

    Raises:
        FileNotFoundError: if the folder holds no run, or a data folder does not exist.
        ValueError: for settings or labels out of range, or no images.
    """
    folder = Path(folder)
    config, training = folder / "config.py", folder / "training"
    last = f"iter_{Config.fromfile(str(config)).train_cfg.max_iters}.pth"
    if not _is_trained(training, last):
        train(config, training, resume="auto", launcher=launcher)
    for asked in sorted(folder.glob("tests/*/options.json")):
        result = asked.with_name("result.json")
        if result.exists():
            continue
        start, options = time.perf_counter(), json.loads(asked.read_text())
        found = test(config, training / last, asked.parent, options=options, launcher=launcher)
        if is_main_process():
            metrics = {metric: round(float(value), 4) for metric, value in found.items()}
            seconds = round(time.perf_counter() - start, 1)
            write_whole(result, json.dumps(dict(metrics=metrics, seconds=seconds), indent=2) + "\n")


def _is_trained(training: Path, last: str) -> bool:
    """Whether the last checkpoint is there, whole: mmengine notes its name after writing it."""
    if not (training / "last_checkpoint").is_file():
        return False
    found = find_latest_checkpoint(str(training))
    return found is not None and Path(found).name == last and (training / last).is_file()


if __name__ == "__main__":
    train_and_test(*sys.argv[1:])
