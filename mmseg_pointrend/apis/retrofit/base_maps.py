"""What a model computes on the way to its logits, found by running it once."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

#: Sides of the picture that a model is run on: a multiple of every usual stride and window.
SIDE = 256


class FeatureMap(NamedTuple):
    """A map that the backbone, or the neck, hands on to the heads.

    Attributes:
        index: its place among them.
        stride: pixels of the picture from one of its pixels to the next.
        channels: C.
    """

    index: int
    stride: int
    channels: int


class BaseMaps(NamedTuple):
    """The maps of a model.

    Attributes:
        features: what the decode head reads, or could read.
        coarse_stride: stride of the logits.
    """

    features: list[FeatureMap]
    coarse_stride: int

    def describe(self) -> str:
        """Say in one line what there is."""
        features = ", ".join(
            f"{one.index} (stride {one.stride}, {one.channels} channels)" for one in self.features
        )
        return f"feature maps {features}, logits of stride {self.coarse_stride}"

    def finest(self) -> list[FeatureMap]:
        """Choose the first of the maps with the smallest stride."""
        return [min(self.features, key=lambda features: features.stride)]

    def with_strides(self, strides: Sequence[int]) -> list[FeatureMap]:
        """Choose the first map of each stride.

        Raises:
            ValueError: for a stride that no map has.
        """
        chosen = []
        for stride in strides:
            found = next((one for one in self.features if one.stride == stride), None)
            if found is None:
                raise ValueError(
                    f"fine_strides: no feature map has stride {stride}; there are "
                    f"{sorted({one.stride for one in self.features})}"
                )
            chosen.append(found)
        return chosen


@torch.no_grad()
def find_base_maps(model: nn.Module, in_channels: int = 3) -> BaseMaps:
    """Run a model once, on an empty picture, and look at its maps.

    Args:
        model: an encoder-decoder; it is left in evaluation mode.
        in_channels: of its pictures.

    Raises:
        ValueError: for a decode head that gives no logits, or logits as fine as the picture.
    """
    features = model.eval().extract_feat(torch.zeros(1, in_channels, SIDE, SIDE))
    found = [
        FeatureMap(index, _stride(values), values.shape[1])
        for index, values in enumerate(features)
        if isinstance(values, Tensor) and values.dim() == 4
    ]
    logits = model.decode_head(features)
    logits = logits[0] if isinstance(logits, list | tuple) else logits
    name = type(model.decode_head).__name__
    if not isinstance(logits, Tensor) or logits.dim() != 4 or not found:
        raise ValueError(f"decode_head {name} gives no map of logits (N, K, h, w)")
    if _stride(logits) < 2:
        raise ValueError(
            f"decode_head {name} predicts every pixel of its input, so nothing is left to render"
        )
    return BaseMaps(found, _stride(logits))


def count_steps(stride: int) -> int:
    """Count the steps, each doubling the grid, from a stride to the picture's pixels."""
    return math.ceil(math.log2(stride))


def _stride(values: Tensor) -> int:
    return round(SIDE / values.shape[2])
