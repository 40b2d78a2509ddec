"""Hooks for mmengine's runner."""

from mmseg_pointrend.compat import setup

setup()

from mmseg_pointrend.engine.label_check_hook import LabelCheckHook, innermost_datasets  # noqa: E402
from mmseg_pointrend.engine.plain_checkpoint_hook import PlainCheckpointHook  # noqa: E402

__all__ = ["LabelCheckHook", "PlainCheckpointHook", "innermost_datasets"]
