"""How large images are: in training, in testing, and as a user says it."""

from collections.abc import Sequence

import numpy as np
from mmengine.config import Config
from mmseg.registry import TRANSFORMS

from mmseg_pointrend.inference.reading import step_name, test_pipeline


def image_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Read (H, W), or (S,) for a square, as (H, W).

    Raises:
        ValueError: for anything but one or two positive integers.
    """
    if len(shape) not in (1, 2) or not all(isinstance(side, int) and side > 0 for side in shape):
        raise ValueError(
            f"shape must be one or two positive integers, height and width, got {list(shape)}"
        )
    return shape[0], shape[-1]


def training_shape(config: Config) -> tuple[int, int]:
    """Find (H, W) of a training crop: `data_preprocessor.size`, else the config's `crop_size`.

    Raises:
        ValueError: if the config has neither.
    """
    size = config.model.get("data_preprocessor", {}).get("size") or config.get("crop_size")
    if not size:
        raise ValueError(
            "the config has neither model.data_preprocessor.size nor crop_size: give a shape"
        )
    return tuple(size)


def image_channels(config: Config) -> int:
    """Find how many channels the network's images have: `backbone.in_channels`, 3 by default."""
    return config.model.get("backbone", {}).get("in_channels", 3)


def rendering_shape(config: Config) -> tuple[int, int]:
    """Find (H, W) of what the network is given in testing: an image, or a window that slides.

    How large an image is depends on the data. Taken is an image shaped as the training crop, after
    the test pipeline's resizing and padding: 1024x2048 for Cityscapes, 512x512 for ADE20K.

    Raises:
        ValueError: if the config does not say the size of a training crop.
    """
    test_cfg = config.model.get("test_cfg") or {}
    if test_cfg.get("mode") == "slide":
        return tuple(test_cfg["crop_size"])
    results = dict(img=np.zeros((*training_shape(config), 3), np.uint8))
    for transform in test_pipeline(config) if config.get("test_dataloader") else ():
        if "Resize" in step_name(transform) or "Pad" in step_name(transform):
            results = TRANSFORMS.build(transform)(results)
    return results["img"].shape[:2]
