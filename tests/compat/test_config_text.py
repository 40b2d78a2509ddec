"""The text of a config is yapf's, and asked for once."""

import pytest
from mmengine.config import Config
from mmengine.config import config as mmengine_config

from mmseg_pointrend.compat.config_text import lay_text_out_once


def test_texts_are_laid_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out, asked = mmengine_config.FormatCode.__wrapped__, []

    def count(text: str, **settings: object) -> tuple:
        asked.append(text)
        return lay_out(text, **settings)

    monkeypatch.setattr(mmengine_config, "FormatCode", count)
    config = Config(dict(model=dict(type="A", sizes=[1, 2]), work_dir="here"))
    before = config.pretty_text
    lay_text_out_once()
    lay_text_out_once()
    asked.clear()
    assert config.pretty_text == config.pretty_text == before
    assert len(asked) == 1
    # Changed in place, and back.
    config.model.sizes.append(3)
    assert config.pretty_text == before.replace("2,", "2,\n        3,") != before
    config.model.sizes.pop()
    assert config.pretty_text == before
    assert len(asked) == 2
    # Many texts are not all kept.
    for number in range(40):
        assert f"work_dir = '{number}'" in Config(dict(work_dir=str(number))).pretty_text
    assert config.pretty_text == before
    assert len(asked) == 43
