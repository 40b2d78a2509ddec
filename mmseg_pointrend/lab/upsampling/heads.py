"""The head of SemanticFPN with another way to a finer map."""

import copy
from collections.abc import Sequence

import torch
from mmseg.models.utils import Upsample
from mmseg.registry import MODELS
from torch import Tensor, nn

import mmseg_pointrend.lab.upsampling.carafe
import mmseg_pointrend.lab.upsampling.dysample
import mmseg_pointrend.models  # noqa: F401 - fills the registry
from mmseg_pointrend.core import Resize

_FPN = MODELS.get("FPNHead")


@MODELS.register_module()
class UpsamplingFPNHead(_FPN):
    """`FPNHead` with a learned operator in the place of its bilinear upsampling.

    Args:
        upsampling: config of a module that enlarges a map twice; `channels` is added.
        enlargements: how often the sum of all levels is enlarged, too, before it is classified.
        **kwargs: see `FPNHead`.
    """

    def __init__(self, upsampling: dict, enlargements: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)

        def build() -> nn.Module:
            return MODELS.build(dict(copy.deepcopy(upsampling), channels=self.channels, scale=2))

        for levels in self.scale_heads:
            for place, layer in enumerate(levels):
                if isinstance(layer, Upsample):
                    levels[place] = build()
        self.enlarge = nn.Sequential(*(build() for _ in range(enlargements)))

    def cls_seg(self, feat: Tensor) -> Tensor:
        """Enlarge the sum of all levels, and classify its pixels."""
        return super().cls_seg(self.enlarge(feat))


@MODELS.register_module()
class RefinedFPNHead(_FPN):
    """`FPNHead` with a decoder at the stride of a fine feature map: one convolution of 3x3.

    It reads the sum of all levels, resized to the fine map, and the fine map, which is the one that
    PointRend's point head would read.

    Args:
        fine_index: of the fine map.
        fine_channels: of the fine map.
        refined_channels: of the convolution.
        **kwargs: see `FPNHead`.
    """

    def __init__(
        self,
        fine_index: int = 0,
        fine_channels: int = 64,
        refined_channels: int = 32,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.fine_index = fine_index
        self.refine = nn.Sequential(
            nn.Conv2d(self.channels + fine_channels, refined_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(refined_channels),
            nn.ReLU(inplace=True),
        )
        self.conv_seg = nn.Conv2d(refined_channels, self.out_channels, kernel_size=1)

    def cls_seg(self, feat: Tensor) -> Tensor:
        """Leave the sum of all levels as it is: it is classified after the decoder."""
        return feat

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Predict logits (N, K, h, w) at the fine map's size."""
        fine = inputs[self.fine_index]
        summed = Resize(fine.shape[2], fine.shape[3]).apply(super().forward(inputs))
        return super().cls_seg(self.refine(torch.cat([summed, fine], dim=1)))
