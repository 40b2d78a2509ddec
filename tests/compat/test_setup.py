"""The one call that the other rooms make first."""

import sys

import mmengine

from mmseg_pointrend.compat import setup
from tests.compat.test_mmcv_ext import run_code


def test_after_it_mmseg_imports_without_a_word_about_pkg_resources():
    result = run_code("""
        from mmseg_pointrend.compat import setup
        setup()
        import mmseg.models, mmseg.datasets, mmseg.evaluation, mmengine.runner
    """)
    assert result.returncode == 0, result.stderr
    assert "pkg_resources" not in result.stderr


def test_it_reports_mmcv_before_it_imports_anything_that_needs_it():
    result = run_code("""
        import importlib.util, sys
        from mmseg_pointrend.compat import setup
        find_spec = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == "mmcv" else find_spec(name)
        try:
            setup()
        except ImportError as error:
            assert "mmcv-lite==2.1.0" in str(error)
        else:
            raise AssertionError("no error")
        assert "torch" not in sys.modules and "mmengine" not in sys.modules
    """)
    assert result.returncode == 0, result.stderr


def test_calling_it_again_changes_nothing():
    from mmengine.runner.checkpoint import CheckpointLoader

    setup()
    before = list(sys.meta_path), dict(CheckpointLoader._schemes)
    setup()
    assert (list(sys.meta_path), dict(CheckpointLoader._schemes)) == before


def test_metafiles_are_read_once(monkeypatch):
    from mmengine.config import Config, utils

    from mmseg_pointrend.compat.metafiles import read_metafiles_once

    read = []

    def load(path: str) -> object:
        read.append(path)
        return mmengine.load(path)

    monkeypatch.setattr(utils, "load", load)
    read_metafiles_once()
    read_metafiles_once()
    text = "_base_ = ['mmseg::_base_/default_runtime.py', 'mmseg::_base_/models/fpn_r50.py']"
    config = Config.fromstring(text, ".py")
    assert config.default_scope == "mmseg" and config.model.backbone.depth == 50
    assert len(read) == len(set(read)) > 1
