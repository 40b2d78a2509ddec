"""The generated street scenes: drawing them, writing them, and reading them with mmseg."""

from mmseg_pointrend import compat

compat.setup()

from mmseg_pointrend.datasets.demo_scenes import DemoScenesDataset  # noqa: E402
from mmseg_pointrend.datasets.scene_folder import write_scenes  # noqa: E402
from mmseg_pointrend.datasets.scenes import draw_scene  # noqa: E402

__all__ = ["DemoScenesDataset", "draw_scene", "write_scenes"]
