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
    """Train what a run's folder asks for, from its last checkpoint on, test, write `result.json`.

    Args:
        folder: see `run_folder`.
        launcher: "none", "pytorch", "slurm" or "mpi".

    Raises:
        FileNotFoundError: if the folder holds no run, or a data folder does not exist.
        ValueError: for settings or labels out of range, or no images.
    """
    folder, start = Path(folder), time.perf_counter()
    config, training = folder / "config.py", folder / "training"
    tests = json.loads((folder / "run.json").read_text())
    last = f"iter_{Config.fromfile(str(config)).train_cfg.max_iters}.pth"
    if not _is_trained(training, last):
        train(config, training, resume="auto", launcher=launcher)
    trained = time.perf_counter()
    metrics = {}
    for name, options in tests.items():
        found = test(
            config, training / last, folder / "tests" / name, options=options, launcher=launcher
        )
        metrics[name] = {metric: float(value) for metric, value in found.items()}
    if is_main_process():
        seconds = dict(training=trained - start, testing=time.perf_counter() - trained)
        result = dict(metrics=metrics, seconds={key: round(s, 1) for key, s in seconds.items()})
        write_whole(folder / "result.json", json.dumps(result, indent=2) + "\n")


def _is_trained(training: Path, last: str) -> bool:
    """Whether the last checkpoint is there, whole: mmengine notes its name after writing it."""
    if not (training / "last_checkpoint").is_file():
        return False
    found = find_latest_checkpoint(str(training))
    return found is not None and Path(found).name == last and (training / last).is_file()


if __name__ == "__main__":
    train_and_test(*sys.argv[1:])
