"""Generated street scenes: drawing them, writing them in a folder, and logits of them."""

from mmseg_pointrend.lab.scenes.drawing import draw_scene
from mmseg_pointrend.lab.scenes.folder import write_scenes
from mmseg_pointrend.lab.scenes.logits import scene_logits

__all__ = ["draw_scene", "scene_logits", "write_scenes"]
