"""Several processes train as one does with the same global batch: real ranks, joined by gloo."""

import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from mmseg_pointrend.apis.training import train
from tests.engine.kills import train_anew, write_config
from tests.forks import Ranks, finish, run_ranks, start
from tests.tools.commands import forget_runs

ITERATIONS, BATCH = 6, 4

#: What each process has of its own is left out: statistics of BatchNorm, random points, dropout.
EXACT = {
    "model.backbone.norm_cfg": dict(type="GN", num_groups=4),
    "model.decode_head.coarse_head.norm_cfg": dict(type="GN", num_groups=4),
    "model.decode_head.coarse_head.dropout_ratio": 0.0,
    "model.decode_head.training_points.strategy": "regular-grid",
    "optim_wrapper.optimizer": dict(
        type="SGD", lr=0.05, momentum=0.9, weight_decay=0.0, _delete_=True
    ),
    "train_cfg.val_interval": ITERATIONS,
    "default_hooks.checkpoint.max_keep_ckpts": -1,
}


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    # Every crop is known everywhere: each process's mean is over as many pixels.
    folder = tmp_path_factory.mktemp("data")
    return write_config(folder, ITERATIONS, train=7, val=5, void_rows=0)


def train_and_score(config: Path, work_dir: Path, **arguments: object) -> None:
    forget_runs()
    runner = train(config, work_dir, **arguments)
    score = runner.message_hub.get_scalar("val/mIoU").current()
    (work_dir / f"mIoU_{runner.rank}").write_text(str(score))


def train_by(ranks: int, config: Path, work_dir: Path, **arguments: object) -> str:
    """Train with so many processes that share the batch; return what they wrote."""
    options = {**EXACT, "train_dataloader.batch_size": BATCH // ranks}
    if ranks > 1:
        return run_ranks(
            work_dir.parent, ranks, train_and_score, config, work_dir,
            options=options, launcher="pytorch", **arguments,
        )  # fmt: skip
    log = work_dir.with_suffix(".log")
    process = start(log, train_and_score, config, work_dir, options=options, **arguments)
    assert finish(process) == 0, log.read_text()
    return log.read_text()


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory) -> dict[int, Path]:
    """Work dirs by the number of processes."""
    work_dirs = {}
    for ranks in (1, 2, 4):
        work_dirs[ranks] = tmp_path_factory.mktemp("trained") / f"by_{ranks}"
        train_by(ranks, config, work_dirs[ranks])
    return work_dirs


def weights(work_dir: Path, iteration: int) -> dict[str, torch.Tensor]:
    return torch.load(work_dir / f"iter_{iteration}.pth", weights_only=True)["state_dict"]


def momenta(work_dir: Path, iteration: int) -> list[torch.Tensor]:
    """After the first iteration these are its gradients."""
    checkpoint = torch.load(work_dir / f"iter_{iteration}.pth", weights_only=True)
    state = checkpoint["optimizer"]["state"]
    return [state[number]["momentum_buffer"] for number in sorted(state)]


def assert_same_weights(found: dict, expected: dict) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
def test_gradients_weights_and_scores_are_those_of_one_process(trained, ranks: int) -> None:
    one, several = trained[1], trained[ranks]
    gradients = momenta(one, 1)
    # Not all: the last norm of a residual block begins at zero.
    assert sum(bool(gradient.abs().max() > 1e-4) for gradient in gradients) > 60
    torch.testing.assert_close(momenta(several, 1), gradients, rtol=1e-3, atol=1e-6)
    assert_same_weights(weights(several, ITERATIONS), weights(one, ITERATIONS))
    scores = [float(path.read_text()) for path in several.glob("mIoU_*")]
    assert len(scores) == ranks and len(set(scores)) == 1
    # Five pictures: some ranks have one more.
    assert scores[0] == pytest.approx(float((one / "mIoU_0").read_text()), abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (4, 2)])
def test_another_number_of_processes_goes_on_at_the_same_data(
    config, trained, tmp_path: Path, before: int, after: int
) -> None:
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    shutil.copy(trained[before] / "iter_3.pth", work_dir)
    written = train_by(after, config, work_dir, resume="auto")
    assert f"number of processes {before} -> {after}" in written
    assert_same_weights(weights(work_dir, ITERATIONS), weights(trained[1], ITERATIONS))
    # Other data would be seen.
    steps = [weights(trained[1], number)["neck.lateral_convs.0.conv.weight"] for number in (3, 4)]
    assert (steps[1] - steps[0]).abs().max() > 1e-4


def train_in_own_folder(config: Path, folder: Path, **arguments: object) -> None:
    train_anew(config, folder / os.environ["RANK"], **arguments)


@pytest.mark.slow
def test_machines_that_see_other_checkpoints_do_not_go_on(config, trained, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    shutil.copy(trained[2] / "iter_3.pth", tmp_path / "1")
    ranks = Ranks(
        tmp_path, 2, train_in_own_folder, config, tmp_path,
        options=EXACT, launcher="pytorch", resume="auto",
    )  # fmt: skip
    assert ranks.finish() == [1, 1]
    assert ranks.written().count("processes found checkpoints of different iterations, [0, 3]") == 2


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all_after_the_same_iteration(config, tmp_path: Path) -> None:
    work_dir = tmp_path / "work"
    options = {
        "train_cfg.max_iters": 1000, "train_cfg.val_interval": 1000,
        "default_hooks.checkpoint.interval": 1000, "default_hooks.logger.interval": 1,
    }  # fmt: skip
    ranks = Ranks(tmp_path, 2, train_anew, config, work_dir, options=options, launcher="pytorch")
    ranks.wait_for("Iter(train)")
    os.kill(ranks.numbers[1], signal.SIGTERM)
    assert ranks.finish() == [143, 143], ranks.written()
    (saved,) = work_dir.glob("iter_*.pth")
    assert f"saved to {saved}" in ranks.written()
