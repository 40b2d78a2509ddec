"""The process of one run: python -m mmseg_pointrend.lab.ablation.one_run FOLDER [LAUNCHER]."""

import json
import sys
import time
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import barrier, is_main_process

from mmseg_pointrend.apis.testing import test
from mmseg_pointrend.apis.training import train
from mmseg_pointrend.lab.ablation.run_folder import training_length, write_whole
from mmseg_pointrend.lab.ablation.tasks import swept_task


def train_and_test(folder: str | Path, launcher: str = "none") -> None:
    """Train what a run's folder asks for, from its last checkpoint on, and do its missing tests.

    Results are in per cent, also those that mmdet gives as shares.

    Args:
        folder: see `run_folder`.
        launcher: "none", "pytorch", "slurm" or "mpi".

    Raises:
        FileNotFoundError: if the folder holds no run, or a data folder does not exist.
        ValueError: for settings or labels out of range, no images, or a test without a metric.
    """
    folder = Path(folder)
    config, training = folder / "config.py", folder / "training"
    # Now, as no process has written a result yet: all of them must do the same tests.
    missing = [
        asked
        for asked in sorted(folder.glob("tests/*/options.json"))
        if not asked.with_name("result.json").exists()
    ]
    settings = Config.fromfile(str(config))
    (counted, length), unit = training_length(settings), swept_task(settings).unit
    last, found = training / f"{counted}_{length}.pth", _last_checkpoint(training)
    if found != last:
        # mmengine would validate after the last iteration, which the tests make superfluous.
        options = {"train_cfg.val_begin": length + 1}
        train(config, training, resume=found and str(found), options=options, launcher=launcher)
        # The first process writes the checkpoint that all of them load.
        barrier()
    for asked in missing:
        start, options = time.perf_counter(), json.loads(asked.read_text())
        measured = test(config, last, asked.parent, options=options, launcher=launcher)
        if not measured:
            raise ValueError(f"{asked.parent}: nothing was measured; have the test images labels?")
        if is_main_process():
            metrics = {name: round(unit * float(value), 4) for name, value in measured.items()}
            seconds = round(time.perf_counter() - start, 1)
            text = json.dumps(dict(metrics=metrics, seconds=seconds), indent=2)
            write_whole(asked.with_name("result.json"), text + "\n")


def _last_checkpoint(training: Path) -> Path | None:
    """Find the newest checkpoint that is whole: mmengine notes its path after writing it.

    Of the path only the name counts, so that a folder may be moved.
    """
    note = training / "last_checkpoint"
    name = Path(note.read_text().strip()).name if note.is_file() else ""
    return training / name if name and (training / name).is_file() else None


if __name__ == "__main__":
    train_and_test(*sys.argv[1:])
