"""Keys that nothing reads are refused, with the key of today; variables of a file are not."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_pointrend.apis.configs import load_config, shipped_config
from mmseg_pointrend.compat.config_keys import OLD_KEYS

NAME = "pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"


def write(folder: Path, text: str) -> Path:
    path = folder / "child.py"
    path.write_text(f'_base_ = "{shipped_config(NAME)}"\n{text}\n')
    return path


@pytest.mark.parametrize(
    ("key", "value", "today"),
    [
        ("optimizer.lr", 0.1, "optim_wrapper.optimizer.lr"),
        ("data.samples_per_gpu", 4, "train_dataloader.batch_size"),
        ("data.workers_per_gpu", 4, "train_dataloader.num_workers"),
        ("data.train.data_root", "x", "train_dataloader, val_dataloader and test_dataloader"),
        ("data.train", {}, "train_dataloader.dataset"),
        ("lr_config.warmup", "linear", "param_scheduler"),
        ("runner.max_iters", 9, "train_cfg.max_iters"),
        ("total_iters", 9, "train_cfg.max_iters"),
        ("evaluation.interval", 9, "train_cfg.val_interval"),
        ("checkpoint_config.interval", 9, "default_hooks.checkpoint"),
        ("seed", 3, "randomness.seed"),
    ],
)
def test_an_old_option_is_told_what_it_is_today(key: str, value: object, today: str) -> None:
    with pytest.raises(ValueError, match="is a key of mmsegmentation 0.x") as raised:
        load_config(shipped_config(NAME), {key: value})
    assert str(raised.value).endswith(f"today it is {today}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer = dict(lr=0.5)", "today it is optim_wrapper.optimizer"),
        ("data = dict(samples_per_gpu=3)", "data.samples_per_gpu is a key.*batch_size"),
        ("runner = dict(type='IterBasedRunner', max_iters=3)", "today it is train_cfg"),
        ("total_iters = 3", "train_cfg.max_iters"),
    ],
)
def test_an_old_key_in_a_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_config(write(tmp_path, text))


def test_variables_of_a_file_may_have_old_names(tmp_path: Path) -> None:
    text = (
        "optimizer = dict(type='SGD', lr=0.3)\noptim_wrapper = dict(optimizer=optimizer)\n"
        "seed = 5\nrandomness = dict(seed=seed)\ndata = 'somewhere'"
    )
    config = load_config(write(tmp_path, text))
    assert config.optim_wrapper.optimizer.lr == 0.3


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("train_cgf.max_iters", r"nothing reads train_cgf; did you mean train_cfg\?"),
        ("data_root", r"given to train_dataloader\.dataset\.data_root, val_dataloader\.dataset"),
        ("crop_size", r"model\.data_preprocessor\.size"),
        ("test_pipeline.1.scale", r"given to val_dataloader\.dataset\.pipeline\.1\.scale, test"),
        ("nonsense", "nothing reads nonsense$"),
        ("param_scheduler.power", "is a list of 2,.* as in param_scheduler.0.power$"),
        ("param_scheduler.3.power", "is a list of 2,.* as in param_scheduler.0.power$"),
    ],
)
def test_an_option_that_changes_nothing_is_refused(key: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_config(shipped_config(NAME), {key: 1})


def test_a_name_that_only_code_of_ones_own_may_read_is_told(tmp_path: Path, capsys) -> None:
    config = load_config(write(tmp_path, "our_setting = 3"), {"our_setting": 4})
    assert config.our_setting == 4
    assert "option our_setting: our_setting is a name in" in capsys.readouterr().err


def test_options_that_change_something_pass() -> None:
    options = {"load_from": "x.pth", "model.decode_head.num_classes": 3, "randomness.seed": 1}
    config = load_config(shipped_config(NAME), options)
    assert config.randomness.seed == 1


def test_what_takes_the_place_of_old_keys_is_there() -> None:
    """The table names keys of today's configs."""
    config = Config.fromfile(shipped_config(NAME))
    later = ("randomness", "env_cfg", "resume")
    for today in OLD_KEYS.values():
        first = re.split("[., ]", today)[0]
        assert first in config or first.startswith((*later, "--")), today
