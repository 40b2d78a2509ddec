"""Where a training starts: anew, from weights, or from the checkpoint that it goes on from."""

from mmengine.config import Config
from mmengine.dist import all_gather_object

from mmseg_pointrend.datasets.draws import make_repeatable
from mmseg_pointrend.datasets.workers import shield_workers
from mmseg_pointrend.engine.checkpoint_folder import (
    check_checkpoint,
    find_newest,
    read_progress,
)
from mmseg_pointrend.engine.pretrained import leave_out_pretrained


def choose_start(config: Config, resume: str | None) -> int:
    """Decide which checkpoint to go on from (weights, optimizer, iteration) or to start from.

    Args:
        config: of a training; changed in place.
        resume: a checkpoint to go on from, or "auto" for the newest complete one in the work dir.

    Returns:
        iterations done.

    Raises:
        FileNotFoundError: if a checkpoint does not exist.
        ValueError: for a checkpoint that no training can go on from.
    """
    found = find_newest(config.work_dir) if resume == "auto" else resume
    config.resume = found is not None
    done = 0
    if found is not None:
        check_checkpoint(found)
        progress = read_progress(found)
        done, config.load_from = progress.iteration, str(found)
        if config.setdefault("randomness", {}).get("seed") is None:
            config.randomness.seed = progress.seed
    elif config.get("load_from"):
        check_checkpoint(config.load_from)
    if config.get("load_from"):
        # The checkpoint replaces the weights that would otherwise be downloaded first.
        leave_out_pretrained(config)
    if config.get("train_dataloader"):
        make_repeatable(config.train_dataloader, done)
        shield_workers(config.train_dataloader)
    if config.get("val_dataloader"):
        shield_workers(config.val_dataloader)
    return done


def check_same_start(done: int) -> None:
    """Raise ValueError unless all processes go on from the same iteration."""
    found = sorted(set(all_gather_object(done)))
    if len(found) > 1:
        raise ValueError(
            f"resume: processes found checkpoints of different iterations, {found}: all machines "
            "must see the same work dir"
        )
