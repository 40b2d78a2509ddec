"""How good instance masks are: AP, Boundary AP and AP*, of the coarse and of the rendered masks."""

from mmseg_pointrend.instance.evaluation.average_precision import (
    MaskEvaluation,
    average_precisions,
)
from mmseg_pointrend.instance.evaluation.metric import InstanceMaskMetric
from mmseg_pointrend.instance.evaluation.run_lengths import cropped_mask, encode_masks

__all__ = [
    "InstanceMaskMetric",
    "MaskEvaluation",
    "average_precisions",
    "cropped_mask",
    "encode_masks",
]
