"""The mmsegmentation side of PointRend, registered in its MODELS."""

from mmseg_pointrend import compat

compat.setup()

from mmseg_pointrend.models.efficientnet_lite0 import EfficientNetLite0  # noqa: E402
from mmseg_pointrend.models.packaged_weights import load_from_package  # noqa: E402
from mmseg_pointrend.models.picture import PictureNeighborhood  # noqa: E402
from mmseg_pointrend.models.point_mlp import PointMLP  # noqa: E402
from mmseg_pointrend.models.pointrend_head import PointRendHead  # noqa: E402
from mmseg_pointrend.models.segmentor import PointRend  # noqa: E402
from mmseg_pointrend.models.sharding import large_parts_of_backbones  # noqa: E402
from mmseg_pointrend.models.tta import PointRendTTA  # noqa: E402

__all__ = [
    "EfficientNetLite0",
    "PictureNeighborhood",
    "PointMLP",
    "PointRend",
    "PointRendHead",
    "PointRendTTA",
    "large_parts_of_backbones",
    "load_from_package",
]
