"""Generated street scenes: drawing them, writing them in a folder, and logits of them."""

from mmseg_pointrend.lab.scenes.drawing import draw_scene, draw_scene_things
from mmseg_pointrend.lab.scenes.folder import write_calm_scenes, write_scenes
from mmseg_pointrend.lab.scenes.instances import (
    SceneInstance,
    scene_instances,
    write_instance_scenes,
)
from mmseg_pointrend.lab.scenes.logits import scene_logits

__all__ = [
    "SceneInstance",
    "draw_scene",
    "draw_scene_things",
    "scene_instances",
    "scene_logits",
    "write_calm_scenes",
    "write_instance_scenes",
    "write_scenes",
]
