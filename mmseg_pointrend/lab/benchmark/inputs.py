"""What a benchmark's models are given: generated scenes, and coarse logits as of a trained network.

How much work a rendering has depends on the picture, so several scenes take turns.
"""

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_pointrend.lab.benchmark.settings import Settings
from mmseg_pointrend.lab.image_shapes import image_channels
from mmseg_pointrend.lab.scenes import draw_scene
from mmseg_pointrend.lab.scenes.logits import scene_logits

#: How many scenes take turns.
NUM_SCENES = 4
_IGNORE = 255


class Scenes:
    """Batches of scenes, drawn when asked for; batch i holds the scenes i, i + 1, ... in a circle.

    Args:
        settings: complete ones.
        config: gives the mean and deviation of the colours, and the number of classes.
    """

    def __init__(self, settings: Settings, config: Config) -> None:
        self._settings = settings
        self._config = config
        self._num_classes = config.model.decode_head.num_classes
        self._drawn: dict[int, tuple[Tensor, Tensor]] = {}
        self._logits: dict[tuple, Tensor] = {}

    def images(self, turn: int) -> Tensor:
        """Return (N, C, H, W), on the device."""
        return torch.stack([self._scene(seed)[0] for seed in self._seeds(turn)]).to(
            self._settings.torch_device
        )

    def samples(self, turn: int) -> list[SegDataSample]:
        """Make what the data pipeline would hand on with the images, labels included."""
        shape, ori_shape = self._settings.shape, self._settings.ori_shape
        meta = dict(
            img_shape=shape,
            pad_shape=shape,
            ori_shape=ori_shape,
            scale_factor=(shape[1] / ori_shape[1], shape[0] / ori_shape[0]),
            flip=False,
            img_padding_size=[0, 0, 0, 0],
        )
        samples = []
        for seed in self._seeds(turn):
            labels = self._scene(seed)[1]
            # A scene has nine classes; where the config has fewer, some of them are one.
            labels = torch.where(labels == _IGNORE, labels, labels % self._num_classes)
            samples.append(
                SegDataSample(
                    metainfo=meta,
                    gt_sem_seg=PixelData(data=labels[None].to(self._settings.torch_device)),
                )
            )
        return samples

    def coarse_logits(self, turn: int, like: Tensor) -> Tensor:
        """Return coarse logits of a batch, laid out in memory and as precise as `like`.

        Made when they are first asked for, which takes a while.

        Args:
            turn: which batch.
            like: (N, K, h, w), what the coarse head gives.
        """
        key = (turn % NUM_SCENES, tuple(like.shape), like.stride(), like.dtype)
        if key not in self._logits:
            made = torch.stack([self._make_logits(seed, like) for seed in self._seeds(turn)])
            self._logits[key] = torch.empty_like(like, requires_grad=False).copy_(made)
        return self._logits[key]

    def _make_logits(self, seed: int, like: Tensor) -> Tensor:
        num_channels, size = like.shape[1], tuple(like.shape[2:])
        if self._settings.logits == "random":
            return torch.randn(num_channels, *size, generator=torch.Generator().manual_seed(seed))
        stride = max(-(-s // c) for s, c in zip(self._settings.shape, size, strict=True))
        return torch.from_numpy(scene_logits(seed, num_channels, size, stride))

    def _scene(self, seed: int) -> tuple[Tensor, Tensor]:
        """Draw a scene: (C, H, W), the network's input, and (H, W) labels."""
        if seed not in self._drawn:
            image, labels = draw_scene(np.random.default_rng(seed), self._settings.shape)
            self._drawn[seed] = _normalize(image, self._config), torch.from_numpy(labels).long()
        return self._drawn[seed]

    def _seeds(self, turn: int) -> list[int]:
        return [(turn + image) % NUM_SCENES for image in range(self._settings.batch)]


def _normalize(image: np.ndarray, config: Config) -> Tensor:
    """Turn (H, W, 3) RGB bytes into the network's input (C, H, W), as the preprocessor does.

    A network for other than colour pictures is given red, green and blue in turn.
    """
    pixels = torch.from_numpy(image).permute(2, 0, 1).float()
    pixels = pixels[torch.arange(image_channels(config)) % 3]
    preprocessor = config.model.get("data_preprocessor") or {}
    mean, std = (
        torch.tensor(preprocessor.get(name) or default).view(-1, 1, 1)
        for name, default in (("mean", (0.0,)), ("std", (255.0,)))
    )
    return (pixels - mean) / std
