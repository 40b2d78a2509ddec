"""Which checkpoint a training starts or goes on from."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from mmseg_pointrend.apis import training
from mmseg_pointrend.apis.configs import load_config
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

    def from_cfg(config):
        configs.append(config)
        return SimpleNamespace(train=lambda: None)

    monkeypatch.setattr(training, "Runner", SimpleNamespace(from_cfg=from_cfg))

    def start(resume: str | None = None, **options: object):
        data = {
            f"{split}_dataloader.dataset.data_root": str(tmp_path / "data")
            for split in ("train", "val")
        }
        training.train(CONFIG, tmp_path, resume=resume, options=data | options)
        return configs[-1]

    return start


def saved(path: Path) -> str:
    path.write_bytes(b"")
    return str(path)


def test_a_fresh_start_downloads_the_backbone(started) -> None:
    config = started()
    assert (config.resume, config.load_from) == (False, None)
    assert config.model.pretrained == "open-mmlab://resnet50_v1c"


def test_load_from_replaces_the_backbones_weights(started, tmp_path: Path) -> None:
    weights = saved(tmp_path / "weights.pth")
    config = started(load_from=weights)
    assert (config.resume, config.load_from, config.model.pretrained) == (False, weights, None)


def test_resume_takes_the_latest_checkpoint_not_load_from(started, tmp_path: Path) -> None:
    weights, latest = saved(tmp_path / "weights.pth"), saved(tmp_path / "iter_8.pth")
    assert started("auto", load_from=weights).load_from == weights  # nothing saved yet
    assert not started("auto").resume
    (tmp_path / "last_checkpoint").write_text(latest)
    config = started("auto", load_from=weights)
    assert (config.resume, config.load_from, config.model.pretrained) == (True, latest, None)


def test_resume_from_a_named_checkpoint(started, tmp_path: Path) -> None:
    named = saved(tmp_path / "iter_4.pth")
    config = started(named)
    assert (config.resume, config.load_from) == (True, named)


def test_hooks_that_keep_runs_safe_survive_a_config_that_sets_others(tmp_path: Path) -> None:
    config = load_config(CONFIG, dict(custom_hooks=[dict(type="EMAHook")]))
    assert [hook["type"] for hook in config.custom_hooks] == [
        "EMAHook", "LabelCheckHook", "PlainCheckpointHook",
    ]  # fmt: skip
    assert len(load_config(CONFIG).custom_hooks) == 2
