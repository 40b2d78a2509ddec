"""Metrics, registered in mmsegmentation's METRICS."""

from mmseg_pointrend import compat

compat.setup()

from mmseg_pointrend.evaluation.boundary_metric import BoundaryIoUMetric  # noqa: E402
from mmseg_pointrend.evaluation.refinement_metric import RefinementMetric  # noqa: E402
from mmseg_pointrend.evaluation.trimap_metric import TrimapIoUMetric  # noqa: E402

__all__ = ["BoundaryIoUMetric", "RefinementMetric", "TrimapIoUMetric"]
