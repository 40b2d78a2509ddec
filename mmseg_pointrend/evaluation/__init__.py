"""Metrics, registered in mmsegmentation's METRICS."""

from mmseg_pointrend import compat

compat.setup()

from mmseg_pointrend.evaluation.boundary_iou import BoundaryIoUMetric  # noqa: E402
from mmseg_pointrend.evaluation.refinement import RefinementMetric  # noqa: E402
from mmseg_pointrend.evaluation.trimap import TrimapIoUMetric  # noqa: E402

__all__ = ["BoundaryIoUMetric", "RefinementMetric", "TrimapIoUMetric"]
