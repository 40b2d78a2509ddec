"""Which checkpoint a training starts or goes on from."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from mmseg_pointrend.apis import training
from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.apis.tasks import SAFETY_HOOKS
from mmseg_pointrend.apis.tasks.semantic import SemanticSegmentation
from tests.tools.folders import write_cityscapes

CONFIG = (
    Path(__file__).parents[2]
    / "configs/pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"
)  # fmt: skip


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Call `train` and return the config it would have run, without running it."""
    write_cityscapes(tmp_path / "data")
    configs = []

    def build_runner(config):
        configs.append(config)
        return SimpleNamespace(train=lambda: None)

    monkeypatch.setattr(training, "build_runner", build_runner)

    def start(resume: str | None = None, **options: object):
        data = {
            f"{split}_dataloader.dataset.data_root": str(tmp_path / "data")
            for split in ("train", "val")
        }
        training.train(CONFIG, tmp_path, resume=resume, options=data | options)
        return configs[-1]

    return start


def saved(path: Path, iteration: int = 0, seed: int | None = 3) -> str:
    torch.save(dict(meta=dict(iter=iteration, seed=seed), optimizer={}, state_dict={}), path)
    return str(path)


def start_of(config: Config) -> int:
    return config.train_dataloader.batch_sampler.start


def test_a_fresh_start_downloads_the_backbone(started) -> None:
    config = started()
    assert (config.resume, config.load_from) == (False, None)
    assert config.model.pretrained == "open-mmlab://resnet50_v1c"


def test_load_from_replaces_the_backbones_weights(started, tmp_path: Path) -> None:
    weights = saved(tmp_path / "weights.pth")
    config = started(load_from=weights)
    assert (config.resume, config.load_from, config.model.pretrained) == (False, weights, None)


def test_resume_takes_the_latest_checkpoint_not_load_from(started, tmp_path: Path) -> None:
    weights = saved(tmp_path / "weights.pth")
    assert started("auto", load_from=weights).load_from == weights  # nothing saved yet
    config = started("auto")
    assert (config.resume, start_of(config)) == (False, 0)
    latest = saved(tmp_path / "iter_8.pth", 8)
    config = started("auto", load_from=weights)
    assert (config.resume, config.load_from, config.model.pretrained) == (True, latest, None)
    assert (start_of(config), config.randomness.seed) == (8, 3)


def test_resume_from_a_named_checkpoint(started, tmp_path: Path) -> None:
    named = saved(tmp_path / "iter_4.pth", 4)
    config = started(named)
    assert (config.resume, config.load_from, start_of(config)) == (True, named, 4)


def test_a_seed_of_ones_own_is_kept(started, tmp_path: Path) -> None:
    config = started(saved(tmp_path / "iter_4.pth", 4), **{"randomness.seed": 5})
    assert config.randomness.seed == 5


def test_weights_are_not_a_training_to_resume(started, tmp_path: Path) -> None:
    weights = tmp_path / "best_mIoU_iter_4.pth"
    torch.save(dict(meta=dict(iter=4), state_dict={}), weights)
    with pytest.raises(ValueError, match="holds weights, not a training to resume; .* load_from"):
        started(str(weights))


def test_loader_workers_are_shielded_from_signals(started) -> None:
    config = started(**{"train_dataloader.num_workers": 2, "val_dataloader.num_workers": 0})
    assert config.train_dataloader.worker_init_fn.type == "leave_signals_to_main"
    assert "worker_init_fn" not in config.val_dataloader


def test_hooks_that_keep_runs_safe_survive_a_config_that_sets_others(tmp_path: Path) -> None:
    config = load_config(CONFIG, dict(custom_hooks=[dict(type="EMAHook")]))
    own = [*SemanticSegmentation.data_hooks, *SAFETY_HOOKS]
    assert [hook["type"] for hook in config.custom_hooks] == ["EMAHook", *own]
    kinds = [hook["type"] for hook in load_config(CONFIG).custom_hooks]
    assert sorted(kinds) == sorted(own)


@pytest.mark.parametrize("kind", ["CheckpointHook", "mmengine.CheckpointHook", CheckpointHook])
def test_checkpoints_are_saved_safely(kind: object) -> None:
    config = load_config(CONFIG, {"default_hooks.checkpoint.type": kind})
    assert config.default_hooks.checkpoint.type == "SafeCheckpointHook"
    assert config.default_hooks.checkpoint.interval == 8000
