"""The feature maps that a backbone or a neck hands on: are they those that the heads expect?"""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn


class FeatureMaps(list[Tensor]):
    """Feature maps, and the picture that they were extracted from.

    To the heads that do not ask for the picture it is the list of feature maps.

    Args:
        maps: each (N, C_i, h_i, w_i).
        picture: (N, 3, H, W), as the backbone got it.
    """

    def __init__(self, maps: Iterable[Tensor], picture: Tensor) -> None:
        super().__init__(maps)
        self.picture = picture


def check_feature_maps(
    inputs: Sequence[Tensor], coarse_head: nn.Module, point_head: nn.Module
) -> None:
    """Compare feature maps with the indices of both heads and the channels of the point head.

    The coarse head's channels show when it runs, see `run_coarse_head`.

    Args:
        inputs: feature maps, each (N, C_i, h_i, w_i).
        coarse_head: has `in_index`, one or several.
        point_head: has `in_index` and `in_channels`, one or several.

    Raises:
        ValueError: naming the setting, and what was found.
    """
    for name, head in (("coarse_head", coarse_head), ("point_head", point_head)):
        for index in indices_of(head):
            if not -len(inputs) <= index < len(inputs):
                raise ValueError(
                    f"{name}.in_index={head.in_index} is out of range: there are {len(inputs)} "
                    f"feature maps, so an index lies in [0, {len(inputs) - 1}]"
                )
    # The channels of the picture, if it is read, come last and have no index.
    for index, channels in zip(indices_of(point_head), channels_of(point_head), strict=False):
        if not isinstance(inputs[index], Tensor):
            raise ValueError(
                f"point_head.in_index={point_head.in_index}: feature map {index} is a "
                f"{type(inputs[index]).__name__}, it must be a tensor (N, C, h, w)"
            )
        if inputs[index].shape[1] != channels:
            raise ValueError(
                f"point_head.in_channels={point_head.in_channels} does not fit: feature "
                f"map {index} has {inputs[index].shape[1]} channels"
            )


def indices_of(head: nn.Module) -> list[int]:
    """List the feature maps that a head reads; mmsegmentation's heads hold one index or several."""
    return _list(head.in_index)


def channels_of(head: nn.Module) -> list[int]:
    """List the channels of what a point head reads: the feature maps, then the picture, if any."""
    return _list(head.in_channels)


def _list(numbers: Any) -> list[int]:
    return [numbers] if isinstance(numbers, int) else list(numbers)
