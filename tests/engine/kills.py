"""Trainings that are killed again and again: python -m tests.engine.kills --kills 50.

Real processes train a small PointRend on real files, and end by SIGKILL at random times. They are
forked from one that has imported everything, so that a restart takes a fraction of a second.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from mmseg_pointrend.apis.training import train
from mmseg_pointrend.engine.checkpoint_folder import find_newest, read_progress
from tests.forks import finish, start
from tests.tools.commands import forget_runs
from tests.tools.folders import write_two_classes

ROOT = Path(__file__).parents[2]

#: Saves at every iteration, keeps one checkpoint: hard on what is kept.
CONFIG = """
_base_ = "{root}/configs/pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
classes = ("background", "crack")
crop_size = (32, 64)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
folder = dict(
    type="BaseSegDataset",
    data_root="{data}",
    metainfo=dict(classes=classes),
    img_suffix=".jpg",
    seg_map_suffix=".png",
)
train_dataloader = dict(
    batch_size=2,
    num_workers={workers},
    dataset=dict(
        **folder,
        data_prefix=dict(img_path="images/train", seg_map_path="labels/train"),
        pipeline=train_pipeline,
        _delete_=True,
    ),
)
val_dataloader = dict(
    dataset=dict(
        **folder,
        data_prefix=dict(img_path="images/val", seg_map_path="labels/val"),
        pipeline={{{{_base_.test_pipeline}}}},
        _delete_=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type="IoUMetric", iou_metrics=["mIoU"])]
test_evaluator = val_evaluator
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(base_channels=16, stem_channels=16),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=16),
    decode_head=dict(
        num_classes=2,
        coarse_head=dict(in_channels=[16, 16, 16], channels=16, dropout_ratio=0.1),
        point_head=dict(in_channels=[16], channels=16),
        training_points=dict(num_points=64),
        subdivision=dict(num_points=64),
    ),
)
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.1, begin=0, end=5),
    dict(type="PolyLR", eta_min=0, power=0.9, begin=5, end={iterations}, by_epoch=False),
]
train_cfg = dict(max_iters={iterations}, val_interval=10)
default_hooks = dict(checkpoint=dict(interval={interval}, max_keep_ckpts=1, save_best="mIoU"))
randomness = dict(seed=7)
"""


def write_config(
    folder: Path, iterations: int, interval: int = 1, workers: int = 0, **pictures: int
) -> Path:
    """Write data and a config for them into a folder; `pictures` are for `write_two_classes`."""
    data = write_two_classes(folder / "data", **{"train": 6, **pictures})
    path = folder / "small.py"
    settings = dict(root=ROOT, data=data, iterations=iterations, interval=interval, workers=workers)
    path.write_text(CONFIG.format(**settings))
    return path


def start_training(config: Path, work_dir: Path, log: Path, **arguments: object) -> int:
    """Fork a process that trains; return its number, see `tests.forks.start`."""
    return start(log, train_anew, config, work_dir, **arguments)


def train_anew(config: Path, work_dir: Path, **arguments: object) -> None:
    """Train in a process that has trained before, or is forked from one."""
    forget_runs()
    train(config, work_dir, **arguments)


class Kill(NamedTuple):
    """What a kill found and left.

    Attributes:
        after: seconds from the start of the process.
        writing: whether it came while a checkpoint was written.
        iteration: of the newest complete checkpoint then; 0 if there was none.
    """

    after: float
    writing: bool
    iteration: int


def train_killed(
    config: Path, work_dir: Path, kills: int, longest: float, seed: int
) -> Iterator[Kill]:
    """Train, with so many kills on the way, each after up to `longest` seconds; then to the end.

    Every second one comes while a checkpoint is written, one of the next five. There are fewer
    kills if the training is done before.
    """
    times, log = random.Random(seed), work_dir.with_suffix(".log")
    for count in range(kills):
        start, before = time.monotonic(), _unfinished(work_dir)
        number = start_training(config, work_dir, log, resume="auto")
        time.sleep(times.uniform(0, longest))
        if count % 2:
            for _ in range(times.randint(1, 5)):
                _wait_for_a_write(work_dir, number)
        os.killpg(number, signal.SIGKILL)
        after = time.monotonic() - start
        status = finish(number)
        if status == 0:
            return
        if status != -signal.SIGKILL:
            raise RuntimeError(f"a training failed:\n{log.read_text()[-3000:]}")
        newest = find_newest(work_dir) if work_dir.exists() else None
        writing = bool(_unfinished(work_dir) - before)
        yield Kill(after, writing, read_progress(newest).iteration if newest else 0)
    if finish(start_training(config, work_dir, log, resume="auto")):
        raise RuntimeError(f"the last training failed:\n{log.read_text()[-3000:]}")


def _wait_for_a_write(work_dir: Path, number: int) -> None:
    """Wait until a process writes a checkpoint, or has ended."""
    before = _unfinished(work_dir)
    while not _unfinished(work_dir) - before:
        if os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return


def _unfinished(work_dir: Path) -> set[str]:
    """List the checkpoints that are being written, or that a kill has left so."""
    with contextlib.suppress(FileNotFoundError):
        return {name for name in os.listdir(work_dir) if ".pth." in name and name[-5:] == ".part"}
    return set()


def find_difference(one: Path, other: Path) -> str | None:
    """Name what differs in the weights or the optimizer of two checkpoints; None: not a bit."""
    first, second = (torch.load(path, weights_only=True) for path in (one, other))
    for name, value in first["state_dict"].items():
        if not torch.equal(value, second["state_dict"][name]):
            return name
    for index, state in first["optimizer"]["state"].items():
        for name, value in state.items():
            if not torch.equal(value, second["optimizer"]["state"][index][name]):
                return f"optimizer state {index} {name}"
    if first["optimizer"]["param_groups"] != second["optimizer"]["param_groups"]:
        return "settings of the optimizer"
    return None


def main() -> None:
    """Kill, and compare with a training that nobody killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--iterations", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=2, help="of the loader; default: 2")
    parser.add_argument("--seed", type=int, default=0, help="of the times; default: %(default)s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_config(folder, args.iterations, workers=args.workers)
        whole, killed = folder / "whole", folder / "killed"
        start = time.time()
        if finish(start_training(config, whole, folder / "whole.log")):
            sys.exit((folder / "whole.log").read_text()[-3000:])
        # Time until half an iteration's share of the training: most kills come while it trains.
        first = (whole / "small.py").stat().st_mtime - start
        longest = 2.5 * first
        print(f"started in {first:.1f} s; kills come after up to {longest:.1f} s")
        print("kill  after s  while writing  newest complete checkpoint", flush=True)
        found = []
        for kill in train_killed(config, killed, args.kills, longest, args.seed):
            found.append(kill)
            print(
                f"{len(found):4d}  {kill.after:7.2f}  {'yes' if kill.writing else 'no':>13s}  "
                f"{kill.iteration:5d}",
                flush=True,
            )
        if len(found) < args.kills:
            sys.exit(f"the training was done after {len(found)} kills: give it more iterations")
        last = f"iter_{args.iterations}.pth"
        difference = find_difference(whole / last, killed / last)
        print(
            f"{len(found)} kills, {sum(kill.writing for kill in found)} while a checkpoint was "
            "written; against the training that was not killed: "
            + (difference or "not a bit differs")
        )
        sys.exit(difference is not None)


if __name__ == "__main__":
    main()
