"""Test-time augmentation of a benchmark's models, without their networks."""

from collections.abc import Callable

import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_pointrend.apis.configs import is_pointrend
from mmseg_pointrend.lab.benchmark.inputs import Scenes
from mmseg_pointrend.lab.benchmark.models import build_models, build_quietly, with_picture
from mmseg_pointrend.lab.benchmark.settings import Settings
from mmseg_pointrend.lab.benchmark.stages import Stages
from mmseg_pointrend.lab.benchmark.workloads import watch_prediction
from mmseg_pointrend.lab.image_shapes import image_channels

#: Sizes of the views, relative to the network's input; each also mirrored. mmsegmentation's.
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)

#: (C, h, w) of the feature maps for images of a size (H, W).
Shapes = dict[tuple[int, int], list[torch.Size]]
#: Feature maps for images of a size (H, W).
Features = Callable[[tuple[int, int]], list[Tensor]]


class AugmentedPrediction:
    """Predict views of one image and decide by their mean, from random feature maps on.

    Args:
        model: of `build_models`, with or without mmsegmentation's list of heads; changed.
        scenes: give the coarse logits.
        features: stand in for the network.
        settings: complete ones.
        clock: is told of the stages.
    """

    def __init__(
        self,
        model: nn.Module,
        scenes: Scenes,
        features: Features,
        settings: Settings,
        clock: Stages,
    ) -> None:
        self.clock, self._settings = clock, settings
        model.extract_feat = lambda images: with_picture(
            model, features((images.shape[2], images.shape[3])), images
        )
        watch_prediction(model, scenes, settings, clock)
        kind = "PointRendTTA" if is_pointrend(model) else "SegTTAModel"
        self._augmented = MODELS.build(dict(type=kind, module=model))

    def run(self) -> list[SegDataSample]:
        """Predict."""
        with torch.no_grad(), self.clock.stage("post-processing"):
            return self._augmented.test_step(self._views())

    def _views(self) -> dict[str, list]:
        data: dict[str, list] = dict(inputs=[], data_samples=[])
        original = self._settings.ori_shape
        for scale in SCALES:
            size = _scaled(self._settings.shape, scale)
            factor = (size[1] / original[1], size[0] / original[0])
            for flip in (False, True):
                meta = dict(
                    img_shape=size, ori_shape=original, scale_factor=factor, img_path="",
                    flip=flip, flip_direction="horizontal",
                )  # fmt: skip
                data["inputs"].append([torch.zeros(3, *size, dtype=torch.uint8)])
                data["data_samples"].append([SegDataSample(metainfo=meta)])
        return data


def build_augmented(
    settings: Settings,
    config: Config,
    make_clock: Callable[[torch.device], Stages],
    shapes: Shapes,
) -> dict[str, AugmentedPrediction]:
    """Build the models that are asked for, each with its test-time augmentation.

    Args:
        settings: complete ones.
        config: the whole config.
        make_clock: makes what is told of the stages of one of them.
        shapes: see `feature_shapes`.

    Raises:
        ValueError: as `build_models`.
    """
    scenes, device = Scenes(settings, config), settings.torch_device
    maps: dict[tuple[int, int], list[Tensor]] = {}

    def features(size: tuple[int, int]) -> list[Tensor]:
        if size not in maps:
            maps[size] = [torch.randn(1, *shape).to(device) for shape in shapes[size]]
        return maps[size]

    return {
        name: AugmentedPrediction(model, scenes, features, settings, make_clock(device))
        for name, model in build_models(settings, config).items()
    }


def feature_shapes(config: Config, settings: Settings) -> Shapes:
    """Find the (C, h, w) of the feature maps for each size of views, on torch's meta device.

    Args:
        config: the whole config.
        settings: complete ones.

    Raises:
        ValueError: for a network of other than colour pictures.
    """
    if image_channels(config) != 3:
        raise ValueError(f"views are colour pictures, the network takes {image_channels(config)}")
    model, found = build_quietly(config.model).eval().to("meta"), {}
    for size in (_scaled(settings.shape, scale) for scale in SCALES):
        with torch.no_grad():
            maps = model.extract_feat(torch.empty(1, 3, *size, device="meta"))
        found[size] = [values.shape[1:] for values in maps]
    return found


def _scaled(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    return round(shape[0] * scale), round(shape[1] * scale)
