"""What tools, notebooks and services call. Importing it is cheap; its modules bring mmseg in.

- `inferencer`: predict pictures in Python, one or many: `PointRendInferencer`.
- `shipped`: the configs of this project by their names: `list_configs`.
- `training`: train a config.
- `testing`: test a config's checkpoint, also with test-time augmentation.
- `prediction`: predict an image file of any size, or very many, into files.
- `publishing`: weights, config and card of a model, to be given away.
- `command_line`: all tools by one command, `mmseg-pointrend`.
- `exporting`: a config's model as a file that runs without this project.
- `models`: a config's model with its weights.
- `tasks`: what is different for semantic and for instance segmentation.
- `configs`: load a config, fit it to the machine, check it and its data before work starts.
- `retrofit`: train a point head on a model that stays as it is.
- `evaluators`: what a config says of its test metrics.
- `console`: what command-line tools share.
"""

import importlib
from typing import TYPE_CHECKING

from mmseg_pointrend.apis.shipped import list_configs

if TYPE_CHECKING:
    from mmseg_pointrend.apis.inferencer import PointRendInferencer

__all__ = ["PointRendInferencer", "list_configs"]


def __getattr__(name: str) -> object:
    """Import `PointRendInferencer` when it is asked for: it brings torch and mmsegmentation."""
    if name == "PointRendInferencer":
        return importlib.import_module("mmseg_pointrend.apis.inferencer").PointRendInferencer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
