"""The picture itself as a fine-grained map: what the point head reads of it."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_pointrend.core import Neighborhood
from mmseg_pointrend.core.neighborhood import check_kernel_size
from mmseg_pointrend.models.feature_maps import FeatureMaps


@MODELS.register_module()
class PictureNeighborhood(BaseModule):
    """The k x k pixels of the picture around a point, all of their channels; nothing is learned.

    The first layer of the point head makes a convolution of them, at its points alone.

    Args:
        kernel_size: k, odd; 1 for the pixel alone.
        in_channels: of the picture, as the network gets it.

    Raises:
        ValueError: for another number.
    """

    def __init__(self, kernel_size: int = 3, in_channels: int = 3) -> None:
        super().__init__()
        check_kernel_size(kernel_size)
        if in_channels < 1:
            raise ValueError(f"in_channels must be >= 1, got {in_channels}")
        self.kernel_size, self.in_channels = kernel_size, in_channels
        self.out_channels = in_channels * kernel_size**2

    def forward(self, picture: Tensor) -> Neighborhood:
        """Say how (N, C, H, W) pictures are read.

        Raises:
            ValueError: for another C.
        """
        if picture.shape[1] != self.in_channels:
            raise ValueError(
                f"picture.in_channels={self.in_channels} does not fit: the picture has "
                f"{picture.shape[1]} channels"
            )
        return Neighborhood(picture, self.kernel_size)


def build_picture(config: dict | None) -> nn.Module | None:
    """Build what reads the picture.

    Args:
        config: settings of `PictureNeighborhood`; with a `type`, a module registered in MODELS that
            has `out_channels` (C) and makes of pictures (N, 3, H, W) a map (N, C, h, w); None if
            the point head reads feature maps alone.

    Raises:
        ValueError: for settings out of range, or a module that does not say its channels.
    """
    if config is None:
        return None
    part = MODELS.build(dict(type=PictureNeighborhood) | config)
    if not isinstance(getattr(part, "out_channels", None), int):
        raise ValueError(
            f"picture {type(part).__name__} has no out_channels; it must say how many channels its "
            "map has"
        )
    return part


def with_picture_channels(config: dict, part: nn.Module | None) -> dict:
    """Complete a point head's config by the channels that it reads of the picture.

    Args:
        config: of the point head; `in_channels` are those of the feature maps.
        part: of `build_picture`.
    """
    if part is None or "in_channels" not in config:
        return config
    channels = config["in_channels"]
    channels = [channels] if isinstance(channels, int) else channels
    return {**config, "in_channels": [*channels, part.out_channels]}


def picture_map(part: nn.Module, inputs: Sequence[Tensor]) -> Tensor | Neighborhood:
    """Make the fine-grained map of the picture that feature maps were extracted from.

    Args:
        part: of `build_picture`.
        inputs: the feature maps, as `PointRend` extracts them.

    Returns:
        (N, C, h, w), or a neighbourhood of C channels.

    Raises:
        ValueError: if the picture is not there, or the map has another C than the part says.
    """
    if not isinstance(inputs, FeatureMaps):
        raise ValueError(
            "decode_head.picture needs the picture beside the feature maps, which "
            "model.type='PointRend' hands on; the feature maps came alone"
        )
    found = part(inputs.picture)
    if isinstance(found, Tensor) and (found.dim() != 4 or found.shape[1] != part.out_channels):
        raise ValueError(
            f"picture {type(part).__name__} must make a map (N, {part.out_channels}, h, w), got "
            f"{tuple(found.shape)}"
        )
    return found
