"""Settings read from a config's text, which is never run."""

import pytest
from mmengine.config import Config

from mmseg_pointrend.engine.settings_text import find_changes, read_settings


def test_a_configs_text_is_read() -> None:
    config = Config(
        dict(
            model=dict(type="A", sizes=(1, 2), heads=[dict(k=1), dict(k=2)], rate=-1e-3),
            keys={"a b": 1, 3: "x"},
            off=None,
        )
    )
    settings = read_settings(config.pretty_text)
    assert settings == {
        "model.type": "A", "model.rate": -1e-3, "off": None, "keys.a b": 1, "keys.3": "x",
        "model.sizes": read_settings("a = " + repr(config.model.sizes))["a"],
        "model.heads.0.k": 1, "model.heads.1.k": 2,
    }  # fmt: skip


def test_code_is_text(tmp_path) -> None:
    target = tmp_path / "executed"
    text = f"a = __import__('pathlib').Path({str(target)!r}).touch()\nopen({str(target)!r}, 'w')"
    assert "touch()" in read_settings(text)["a"]
    assert not target.exists()
    with pytest.raises(SyntaxError):
        read_settings("a = (")


def test_changes() -> None:
    before = {"optim.lr": 1, "train_cfg.max_iters": 5, "work_dir": "a", "x": 1}
    now = {"optim.lr": 2, "train_cfg.max_iters": 5, "work_dir": "b", "y": 1}
    assert find_changes(before, now) == {"optim.lr": (1, 2), "x": (1, None), "y": (None, 1)}
