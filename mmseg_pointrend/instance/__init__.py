"""Instance masks: PointRend for the two-stage detectors of MMDetection, registered with it.

Importing it needs mmdet, which the rest of this project does not.
"""

from mmseg_pointrend import compat

compat.setup()

from mmseg_pointrend.compat.versions import check_mmdet  # noqa: E402

check_mmdet()

from mmseg_pointrend.instance.coarse_mask_head import PointRendCoarseMaskHead  # noqa: E402
from mmseg_pointrend.instance.datasets import InstanceDataset  # noqa: E402
from mmseg_pointrend.instance.evaluation import InstanceMaskMetric  # noqa: E402
from mmseg_pointrend.instance.mask_head import PointRendMaskHead  # noqa: E402
from mmseg_pointrend.instance.roi_heads import (  # noqa: E402
    PointRendCascadeRoIHead,
    PointRendStandardRoIHead,
)

__all__ = [
    "InstanceDataset",
    "InstanceMaskMetric",
    "PointRendCascadeRoIHead",
    "PointRendCoarseMaskHead",
    "PointRendMaskHead",
    "PointRendStandardRoIHead",
]
