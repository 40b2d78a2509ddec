"""Trainings that are stopped by signals, killed, or out of disk, and go on: real processes."""

import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.engine.kills import find_difference, start_training, train_killed, write_config
from tests.forks import finish
from tests.shallow import shallow_resnets

ITERATIONS = 12


@pytest.fixture(scope="module", autouse=True)
def shallow() -> Iterator[None]:
    with shallow_resnets(blocks=1):
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    return write_config(tmp_path_factory.mktemp("data"), ITERATIONS, workers=1)


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory) -> Path:
    """Train without an interruption; the work dir."""
    work_dir = tmp_path_factory.mktemp("whole")
    log = work_dir.with_suffix(".log")
    assert finish(start_training(config, work_dir, log)) == 0, log.read_text()
    return work_dir


def wait_for(path: Path, log: Path, text: str = "") -> None:
    """Wait until a file is there, with a text in it."""
    end = time.monotonic() + 60
    while not path.exists() or (text and text not in path.read_text()):
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.01)


def checkpoints(work_dir: Path) -> list[str]:
    return sorted(path.name for path in work_dir.iterdir() if ".pth" in path.name)


def assert_same_training(whole: Path, work_dir: Path) -> None:
    last = f"iter_{ITERATIONS}.pth"
    assert find_difference(whole / last, work_dir / last) is None
    assert checkpoints(work_dir) == checkpoints(whole)
    best = next(whole.glob("best_*.pth")).name
    one, other = (torch.load(folder / best, weights_only=True) for folder in (whole, work_dir))
    assert all(torch.equal(one["state_dict"][k], v) for k, v in other["state_dict"].items())


@pytest.mark.slow
def test_killed_at_random_times(config, whole, tmp_path: Path) -> None:
    work_dir = tmp_path / "work"
    kills = list(train_killed(config, work_dir, kills=4, longest=2, seed=1))
    assert kills
    assert [kill.iteration for kill in kills] == sorted(kill.iteration for kill in kills)
    assert_same_training(whole, work_dir)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_job_saves_and_the_training_goes_on(
    config, whole, tmp_path: Path, number
) -> None:
    work_dir, log = tmp_path / "work", tmp_path / "log"
    # Told of its first iteration, the signal comes long before the last.
    options = {"default_hooks.checkpoint.interval": 1000, "default_hooks.logger.interval": 1}
    process = start_training(config, work_dir, log, options=options)
    wait_for(log, log, "Iter(train)")
    os.killpg(process, number)  # its loader workers, too
    assert finish(process) == 128 + number, log.read_text()
    (saved,) = work_dir.glob("iter_*.pth")
    text = log.read_text()
    assert "Traceback" not in text
    assert f"saved to {saved}; the same command with --resume goes on from there" in text
    assert finish(start_training(config, work_dir, log, resume="auto")) == 0, log.read_text()
    assert_same_training(whole, work_dir)


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before(config, tmp_path: Path, capfd) -> None:
    work_dir, log = tmp_path / "work", tmp_path / "log"
    process = start_training(config, work_dir, log)
    wait_for(work_dir / "last_checkpoint", log)
    # Files may from now on be half as large as a checkpoint.
    size = next(work_dir.glob("iter_*.pth")).stat().st_size // 2
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, size))
    assert finish(process) == 1
    text = log.read_text()
    assert "File too large; the checkpoint is not written, the one before is complete: " in text
    (left,) = [name for name in checkpoints(work_dir) if name.startswith("iter")]
    assert not list(work_dir.glob(".*.part"))
    assert torch.load(work_dir / left, weights_only=True)["meta"]["iter"] >= 1


@pytest.mark.slow
def test_a_work_dir_that_was_moved(config, whole, tmp_path: Path) -> None:
    old, new, log = tmp_path / "old", tmp_path / "new", tmp_path / "log"
    process = start_training(config, old, log)
    wait_for(old / "last_checkpoint", log)
    os.killpg(process, signal.SIGKILL)
    finish(process)
    shutil.move(old, new)
    assert finish(start_training(config, new, log, resume="auto")) == 0, log.read_text()
    assert not old.exists()
    assert_same_training(whole, new)


@pytest.mark.slow
def test_epochs(config, tmp_path: Path) -> None:
    """Stopped within an epoch, a training goes on within it."""
    options = {
        "train_cfg": dict(type="EpochBasedTrainLoop", max_epochs=4, val_interval=2, _delete_=True),
        "default_hooks.checkpoint.by_epoch": True,
        "train_dataloader.sampler.type": "DefaultSampler",
        "train_dataloader.batch_size": 1,
        "param_scheduler": [
            dict(type="PolyLR", eta_min=0, power=0.9, begin=0, end=24, by_epoch=False)
        ],
    }
    works, log = [tmp_path / "whole", tmp_path / "stopped"], tmp_path / "log"
    assert finish(start_training(config, works[0], log, options=options)) == 0, log.read_text()
    log.unlink()
    process = start_training(config, works[1], log, options=options)
    wait_for(works[1] / "epoch_1.pth", log)
    time.sleep(0.05)
    os.killpg(process, signal.SIGTERM)
    assert finish(process) == 143, log.read_text()
    again = start_training(config, works[1], log, options=options, resume="auto")
    assert finish(again) == 0, log.read_text()
    assert find_difference(*(work / "epoch_4.pth" for work in works)) is None
    assert not list(works[1].glob("iter_*.pth"))


@pytest.mark.slow
def test_accumulated_gradients_and_patience_go_on(config, tmp_path: Path) -> None:
    """Resumed between the iterations of one update, and between the validations of one patience."""
    options = {
        "optim_wrapper.accumulative_counts": 3,
        "train_cfg.val_interval": 2,
        "default_hooks.checkpoint.max_keep_ckpts": -1,
        "custom_hooks": [dict(type="EarlyStoppingHook", monitor="mIoU", min_delta=200, patience=4)],
    }
    whole, work_dir, log = tmp_path / "whole", tmp_path / "work", tmp_path / "log"
    assert finish(start_training(config, whole, log, options=options)) == 0, log.read_text()
    # The first validation sets the score, the next four miss it.
    last = [f"iter_{number}.pth" for number in range(1, 11)]
    assert {path.name for path in whole.glob("iter_*.pth")} == set(last)
    work_dir.mkdir()
    shutil.copy(whole / "iter_5.pth", work_dir)
    again = start_training(config, work_dir, log, options=options, resume="auto")
    assert finish(again) == 0, log.read_text()
    assert {path.name for path in work_dir.glob("iter_*.pth")} == set(last[4:])
    assert "the gradients accumulated before are in the checkpoint" in log.read_text()
    for name in last[4:]:
        assert find_difference(whole / name, work_dir / name) is None
        kept = [torch.load(folder / name, weights_only=True) for folder in (whole, work_dir)]
        assert kept[0]["early_stopping"] == kept[1]["early_stopping"]
        assert ("gradients" in kept[0]) == (int(name[5:-4]) % 3 > 0)


@pytest.mark.slow
def test_changed_settings_win_and_are_named(config, tmp_path: Path) -> None:
    work_dir, log = tmp_path / "work", tmp_path / "log"
    short = {
        "train_cfg.max_iters": 4, "train_cfg.val_interval": 100, "param_scheduler.1.end": 4,
        "param_scheduler.0.end": 2, "param_scheduler.1.begin": 2,
    }  # fmt: skip
    assert finish(start_training(config, work_dir, log, options=short)) == 0, log.read_text()
    longer = {
        "train_cfg.max_iters": 8, "train_cfg.val_interval": 100, "param_scheduler.1.end": 20,
        "param_scheduler.0.end": 2, "param_scheduler.1.begin": 2, "param_scheduler.1.power": 1.0,
        "optim_wrapper.optimizer.lr": 0.01,
    }  # fmt: skip
    process = start_training(config, work_dir, log, options=longer, resume="auto")
    assert finish(process) == 0, log.read_text()
    text = log.read_text()
    assert "Resumed with other settings" in text
    assert "optim_wrapper.optimizer.lr 0.002 -> 0.01" in text
    assert "train_cfg.max_iters 4 -> 8" in text
    assert "randomness" not in text.partition("Resumed with other settings")[2].partition("\n")[0]
    # As if the schedule had always been this.
    whole = tmp_path / "whole"
    assert finish(start_training(config, whole, log, options=longer)) == 0, log.read_text()
    rates = [
        torch.load(work / "iter_8.pth", weights_only=True)["optimizer"]["param_groups"][0]["lr"]
        for work in (work_dir, whole)
    ]
    assert rates[0] == rates[1] > 0.006
    other = {**longer, "train_cfg.max_iters": 9, "optim_wrapper.optimizer.type": "SGD"}
    process = start_training(config, work_dir, log, options=other, resume="auto")
    assert finish(process) == 1
    assert (
        "resume: optimizer AdamW -> SGD: the checkpoint's optimizer state does not fit"
        in log.read_text()
    )
