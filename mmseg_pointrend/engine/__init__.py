"""Hooks for mmengine's runner."""

from mmseg_pointrend.compat import setup

setup()

from mmseg_pointrend.engine.annotation_check_hook import AnnotationCheckHook  # noqa: E402
from mmseg_pointrend.engine.early_stopping_hook import ResumableEarlyStoppingHook  # noqa: E402
from mmseg_pointrend.engine.interruption_hook import InterruptionHook  # noqa: E402
from mmseg_pointrend.engine.label_check_hook import LabelCheckHook, innermost_datasets  # noqa: E402
from mmseg_pointrend.engine.plain_checkpoint_hook import PlainCheckpointHook  # noqa: E402
from mmseg_pointrend.engine.repeatable_hook import RepeatableHook  # noqa: E402
from mmseg_pointrend.engine.restoring_hook import RestoringHook  # noqa: E402
from mmseg_pointrend.engine.resume_hook import ResumeHook  # noqa: E402
from mmseg_pointrend.engine.safe_checkpoint_hook import SafeCheckpointHook  # noqa: E402
from mmseg_pointrend.engine.weights_check_hook import WeightsCheckHook  # noqa: E402

__all__ = [
    "AnnotationCheckHook",
    "InterruptionHook",
    "LabelCheckHook",
    "PlainCheckpointHook",
    "RepeatableHook",
    "RestoringHook",
    "ResumableEarlyStoppingHook",
    "ResumeHook",
    "SafeCheckpointHook",
    "WeightsCheckHook",
    "innermost_datasets",
]
