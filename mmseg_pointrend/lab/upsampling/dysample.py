"""DySample (Liu et al., ICCV 2023): a larger map sampled at places that are learned."""

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class DySample(nn.Module):
    """Enlarge a map by bilinear samples, moved by offsets that it predicts itself (sec. 3).

    The paper's static scope factor, "linear + pixel shuffle", and bilinear initialisation: where
    the offsets are 0, this is bilinear enlargement.

    Args:
        channels: of the map, a multiple of `groups`.
        scale: enlargement, an integer.
        groups: of channels, each with offsets of its own.
        scope: factor of what the convolution predicts, in pixels of the map.
    """

    def __init__(self, channels: int, scale: int = 2, groups: int = 4, scope: float = 0.25) -> None:
        super().__init__()
        self.scale, self.groups, self.scope = scale, groups, scope
        self.offset = nn.Conv2d(channels, 2 * groups * scale**2, kernel_size=1)
        nn.init.normal_(self.offset.weight, std=0.001)
        nn.init.zeros_(self.offset.bias)

    def forward(self, values: Tensor) -> Tensor:
        """Enlarge (N, C, h, w) to (N, C, h s, w s)."""
        offsets = F.pixel_shuffle(self.scope * self.offset(values), self.scale)
        return sample_moved(values, offsets.unflatten(1, (self.groups, 2)))


def sample_moved(values: Tensor, offsets: Tensor) -> Tensor:
    """Sample a map bilinearly at the pixel centres of a larger one, moved by offsets.

    Args:
        values: (N, C, h, w); beyond its edge it goes on as at the edge.
        offsets: (N, G, 2, H, W), x and y in pixels of the map, for each of G groups of channels.

    Returns:
        (N, C, H, W).
    """
    groups, size = offsets.shape[1], offsets.shape[3:]
    # What `grid_sample` calls a coordinate: -1 and 1 are the edges of the map.
    y, x = (
        (torch.arange(side, device=values.device, dtype=values.dtype) + 0.5) * 2 / side - 1
        for side in size
    )
    centers = torch.stack([x.expand(size), y[:, None].expand(size)], dim=-1)
    sides = values.new_tensor([values.shape[3], values.shape[2]])
    places = centers + offsets.flatten(0, 1).permute(0, 2, 3, 1) * 2 / sides
    maps = values.unflatten(1, (groups, -1)).flatten(0, 1)
    sampled = F.grid_sample(maps, places, padding_mode="border", align_corners=False)
    return sampled.unflatten(0, (-1, groups)).flatten(1, 2)
