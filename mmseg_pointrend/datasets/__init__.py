"""Data sets, registered in mmsegmentation's DATASETS."""

from mmseg_pointrend import compat

compat.setup()

from mmseg_pointrend.datasets.demo_scenes import CalmScenesDataset, DemoScenesDataset  # noqa: E402
from mmseg_pointrend.datasets.draws import NumberedBatchSampler, SeededDataset  # noqa: E402

__all__ = ["CalmScenesDataset", "DemoScenesDataset", "NumberedBatchSampler", "SeededDataset"]
