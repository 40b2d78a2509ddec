"""Training a config."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import FlexibleRunner, Runner

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.tasks import task_of
from mmseg_pointrend.datasets.coco_files import explaining_empty_data
from mmseg_pointrend.engine.pretrained import advising_files
from mmseg_pointrend.engine.runners import build_runner
from mmseg_pointrend.engine.starting_point import check_same_start, choose_start
from mmseg_pointrend.engine.type_names import type_name


def train(
    config_path: str | Path,
    work_dir: str | Path | None = None,
    resume: str | None = None,
    amp: bool = False,
    options: dict | None = None,
    launcher: str = "none",
    local_rank: int | None = None,
) -> Runner | FlexibleRunner:
    """Train what a config describes; killed at any moment, it can go on from a checkpoint.

    Args:
        config_path: config file, or the name of a config of this project.
        work_dir: where logs and checkpoints go; work_dirs/<config's name> by default.
        resume: a checkpoint to go on from, or "auto" for the newest complete one in `work_dir`
            (from the start if there is none).
        amp: train in mixed precision.
        options: dotted config keys and values that override the file.
        launcher: "none", "pytorch", "slurm" or "mpi".
        local_rank: number of this process on its machine, if the launcher does not set LOCAL_RANK.

    Returns:
        the runner, done.

    Raises:
        FileNotFoundError: if the config, a checkpoint or a data folder does not exist.
        ConnectionError: if weights cannot be downloaded.
        ValueError: for settings or labels out of range, no images, a strategy that does not work
            here, or a checkpoint that no training can go on from.
        SystemExit: after SIGTERM or SIGINT, once the iteration is saved.
    """
    config = prepare_config(config_path, work_dir, options, launcher, local_rank)
    done = choose_start(config, resume)
    if amp:
        enable_amp(config)
    for split in ("train", "val"):
        task_of(config).check_data(config, split)
    runner = build_runner(config)
    check_same_start(done)
    with advising_files(config.model), explaining_empty_data():
        runner.train()
    return runner


def enable_amp(config: Config) -> None:
    """Make a config train in mixed precision.

    Raises:
        ValueError: if there is no GPU, or for an `optim_wrapper` of a kind that cannot do it.
    """
    if not torch.cuda.is_available():
        raise ValueError("amp needs a GPU, and torch sees none; leave --amp out")
    wrapper = config.optim_wrapper
    wrapper.setdefault("type", "OptimWrapper")
    kind = type_name(wrapper)
    if kind == "AmpOptimWrapper":
        return
    if kind != "OptimWrapper":
        raise ValueError(f"amp needs optim_wrapper.type='OptimWrapper', got {kind!r}")
    wrapper.type = "AmpOptimWrapper"
    wrapper.loss_scale = "dynamic"
