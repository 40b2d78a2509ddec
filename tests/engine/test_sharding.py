"""Trainings in which each process has a part of the model, against those that have it whole."""

import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.engine.runners import build_runner
from tests.engine.kills import find_difference, train_anew, write_config
from tests.forks import Ranks, finish, run_ranks, start
from tests.tools.commands import ROOT

ITERATIONS = 6
FSDP = ROOT / "configs/pointrend/pointrend_r101-fsdp_4xb2-80k_cityscapes-512x1024.py"
LAST = f"iter_{ITERATIONS}.pth"

OPTIONS = {
    "train_cfg.val_interval": ITERATIONS,
    "default_hooks.checkpoint.max_keep_ckpts": -1,
    "default_hooks.checkpoint.save_best": "mIoU",
    # Adam's first steps are the signs of gradients, of which some are nearly zero.
    "optim_wrapper.optimizer": dict(
        type="SGD", lr=0.05, momentum=0.9, weight_decay=0.0, _delete_=True
    ),
}
STILL = {"optim_wrapper.optimizer.lr": 0.0}
#: Parts small enough for a small backbone to have several.
STRATEGY = {
    "runner_type": "FlexibleRunner",
    "strategy": Config.fromfile(FSDP).strategy.to_dict(),
    "strategy.model_wrapper.auto_wrap_policy.min_num_params": 20_000,
}


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    """All trainings start from the same weights: runners draw them by other random numbers."""
    folder = tmp_path_factory.mktemp("data")
    path, weights = write_config(folder, ITERATIONS), folder / "weights.pth"
    model = MODELS.build(prepare_config(path).model)
    model.init_weights()
    torch.save(model.state_dict(), weights)
    path.write_text(f"{path.read_text()}load_from = {str(weights)!r}\n")
    return path


def train_by_two(config: Path, work_dir: Path, options: dict, **arguments: object) -> str:
    return run_ranks(
        work_dir.parent, 2, train_anew, config, work_dir,
        options={**OPTIONS, **options}, launcher="pytorch", **arguments,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory) -> Path:
    """Where two processes have trained that have the whole model each."""
    work_dir = tmp_path_factory.mktemp("whole") / "work"
    train_by_two(config, work_dir, {})
    return work_dir


@pytest.fixture(scope="module")
def sharded(config, tmp_path_factory) -> Path:
    """Where two processes have trained that share the model."""
    work_dir = tmp_path_factory.mktemp("sharded") / "work"
    written = train_by_two(config, work_dir, STRATEGY)
    assert "FullyShardedDataParallel" in written
    return work_dir


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


@pytest.mark.slow
def test_weights_and_checkpoints_are_those_of_whole_models(config, whole, sharded) -> None:
    assert {path.name for path in sharded.glob("*.pth")} == {
        path.name for path in whole.glob("*.pth")
    }
    for iteration in (1, ITERATIONS):
        name = f"iter_{iteration}.pth"
        found, expected = (load(folder / name)["state_dict"] for folder in (sharded, whole))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    MODELS.build(prepare_config(config).model).load_state_dict(load(sharded / LAST)["state_dict"])


@pytest.mark.slow
def test_a_resumed_training_is_the_whole_one(config, sharded, tmp_path: Path) -> None:
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    shutil.copy(sharded / "iter_3.pth", work_dir)
    train_by_two(config, work_dir, STRATEGY, resume="auto")
    assert find_difference(sharded / LAST, work_dir / LAST) is None


@pytest.mark.slow
def test_changed_settings_count(config, sharded, tmp_path: Path) -> None:
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    shutil.copy(sharded / "iter_3.pth", work_dir)
    written = train_by_two(config, work_dir, {**STRATEGY, **STILL}, resume="auto")
    assert "optim_wrapper.optimizer.lr 0.05 -> 0.0" in written
    before, after = (load(path)["state_dict"] for path in (sharded / "iter_3.pth", work_dir / LAST))
    parameters = [name for name in before if name.endswith((".weight", ".bias"))]
    assert all(torch.equal(before[name], after[name]) for name in parameters)


@pytest.mark.slow
def test_one_process_goes_on_alone(config, whole, sharded, tmp_path: Path) -> None:
    """From a checkpoint that several shared: the same as from one of their own."""
    for source, name in ((whole, "from_whole"), (sharded, "from_sharded")):
        work_dir, log = tmp_path / name, tmp_path / f"{name}.log"
        work_dir.mkdir()
        shutil.copy(source / "iter_3.pth", work_dir)
        process = start(log, train_anew, config, work_dir, options=OPTIONS, resume="auto")
        assert finish(process) == 0, log.read_text()
    one, other = (load(tmp_path / f"from_{kind}/{LAST}") for kind in ("whole", "sharded"))
    torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=1e-3, atol=1e-5)
    before, after = (load(sharded / name)["state_dict"] for name in ("iter_3.pth", LAST))
    name = "decode_head.point_head.fc_seg.weight"
    assert (after[name] - before[name]).abs().max() > 1e-3


@pytest.mark.slow
def test_a_checkpoint_of_whole_models_is_refused(config, whole, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    shutil.copy(whole / "iter_3.pth", tmp_path / "work")
    ranks = Ranks(
        tmp_path, 2, train_anew, config, tmp_path / "work",
        options={**OPTIONS, **STRATEGY}, launcher="pytorch", resume="auto",
    )  # fmt: skip
    assert ranks.finish() == [1, 1]
    assert ranks.written().count("ValueError: resume: the checkpoint is of a training without") == 2


@pytest.mark.slow
def test_starting_weights_are_checked(config, whole, tmp_path: Path) -> None:
    weights = load(whole / LAST)["state_dict"]
    del weights["neck.fpn_convs.0.conv.bias"]
    torch.save(dict(state_dict=weights), tmp_path / "weights.pth")
    start_from = {"load_from": str(tmp_path / "weights.pth"), "train_cfg.max_iters": 1}
    written = train_by_two(config, tmp_path / "work", {**STRATEGY, **STILL, **start_from})
    assert "loaded; at their initial values: neck.fpn_convs.0.conv.bias" in written
    after = load(tmp_path / "work/iter_1.pth")["state_dict"]
    parameters = [name for name in weights if name.endswith((".weight", ".bias"))]
    assert all(torch.equal(weights[name], after[name]) for name in parameters)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"launcher": "none"}, "FSDPStrategy needs several processes: tools/dist_train.sh"),
        ({"strategy.state_dict_cfg": "local"}, "state_dict_cfg must be 'full'.*got 'local'"),
        (
            {"optim_wrapper": dict(clip_grad=dict(max_norm=1, _delete_=True))},
            "clip_grad does not work with FSDP",
        ),
        ({"optim_wrapper.accumulative_counts": 2}, "accumulative_counts does not work with FSDP"),
        ({"custom_hooks": [dict(type="EMAHook")]}, "EMAHook does not work with FSDP"),
        ({"strategy.type": "DDPStrategy"}, "DDPStrategy is what several processes do anyway"),
        ({"strategy.type": "DeepSpeedStrategy"}, "DeepSpeedStrategy writes checkpoints past"),
        ({"strategy.type": "mmengine.ColossalAIStrategy"}, "ColossalAIStrategy is not supported"),
        ({"strategy.type": "MyStrategy"}, "MyStrategy is not known: take FSDPStrategy"),
        ({"runner_type": "MyRunner"}, "runner_type must be 'FlexibleRunner'.*got 'MyRunner'"),
        ({"strategy": None}, "runner_type='FlexibleRunner' needs a strategy"),
    ],
)
def test_what_does_not_work_is_refused(options: dict, message: str) -> None:
    config = prepare_config(FSDP)
    config.launcher = "pytorch"
    config.merge_from_dict(options)
    with pytest.raises(ValueError, match=message):
        build_runner(config)
