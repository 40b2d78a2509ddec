"""CARAFE (Wang et al., ICCV 2019): each pixel of a larger map has a kernel of its own."""

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class Carafe(nn.Module):
    """Enlarge a map by content-aware reassembly (sec. 3).

    A 1x1 and a `k_encoder` x `k_encoder` convolution predict from the map, for each pixel of the
    larger one, `k_up` x `k_up` weights that sum to 1; it is the weighted sum of that many pixels
    around the pixel it lies in. Beyond the edge there are zeros.

    Args:
        channels: of the map.
        scale: enlargement, an integer.
        k_up: side of the kernels, odd.
        k_encoder: side of the convolution that predicts them, odd; the paper takes `k_up` - 2.
        compressed_channels: of the map that they are predicted from.
    """

    def __init__(
        self,
        channels: int,
        scale: int = 2,
        k_up: int = 5,
        k_encoder: int = 3,
        compressed_channels: int = 64,
    ) -> None:
        super().__init__()
        self.scale, self.k_up = scale, k_up
        self.compress = nn.Conv2d(channels, compressed_channels, kernel_size=1)
        self.encode = nn.Conv2d(
            compressed_channels, (scale * k_up) ** 2, k_encoder, padding=k_encoder // 2
        )
        nn.init.xavier_uniform_(self.compress.weight)
        nn.init.normal_(self.encode.weight, std=0.001)
        for conv in (self.compress, self.encode):
            nn.init.zeros_(conv.bias)

    def forward(self, values: Tensor) -> Tensor:
        """Enlarge (N, C, h, w) to (N, C, h s, w s)."""
        encoded = self.encode(self.compress(values))
        # As pixel_shuffle deals channels out: kernel entry first, then the place in the pixel.
        kernels = encoded.unflatten(1, (self.k_up**2, self.scale**2)).softmax(1)
        return reassemble(values, kernels, self.scale)


def reassemble(values: Tensor, kernels: Tensor, scale: int) -> Tensor:
    """Sum the neighbourhood of each pixel with the kernels of the pixels that it becomes (eq. 4).

    Args:
        values: (N, C, h, w).
        kernels: (N, k^2, s^2, h, w): weights row by row, for each place within a pixel, row by row.
        scale: s.

    Returns:
        (N, C, h s, w s).
    """
    side = round(kernels.shape[1] ** 0.5)
    height, width = values.shape[2:]
    around = F.unfold(values, side, padding=side // 2)
    around = around.view(len(values), values.shape[1], side**2, height, width)
    fine = torch.einsum("nckhw,nkphw->ncphw", around, kernels)
    return F.pixel_shuffle(fine.flatten(1, 2), scale)
