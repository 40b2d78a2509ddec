"""The point head in plain torch (paper, sec. 3.2, "Point head")."""

import torch
from torch import Tensor, nn


class PointHead(nn.Module):
    """Multi-layer perceptron shared by all points; every layer is told the coarse logits.

    Args:
        fine_channels: C, channels of all fine-grained maps together.
        num_logits: K, logits per point and channels of the coarse prediction.
        channels: width of the hidden layers.
        num_layers: number of hidden layers, >= 0.

    Raises:
        ValueError: for a number out of range.

    Example:
        >>> head = PointHead(fine_channels=16, num_logits=3)
        >>> head(torch.randn(2, 16, 50), torch.randn(2, 3, 50)).shape
        torch.Size([2, 3, 50])
    """

    def __init__(
        self, fine_channels: int, num_logits: int, channels: int = 128, num_layers: int = 3
    ) -> None:
        super().__init__()
        sizes = dict(fine_channels=fine_channels, num_logits=num_logits, channels=channels)
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be >= 1, got {size}")
        if num_layers < 0:
            raise ValueError(f"num_layers must be >= 0, got {num_layers}")
        widths = [fine_channels, *[channels] * num_layers]
        self.hidden = nn.ModuleList(
            nn.Linear(width + num_logits, channels) for width in widths[:-1]
        )
        self.last = nn.Linear(widths[-1] + num_logits, num_logits)
        # As in mmsegmentation and detectron2.
        nn.init.normal_(self.last.weight, std=0.01)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Predict points.

        Args:
            fine: (N, C, P), the fine-grained features at the points.
            coarse: (N, K, P), the coarse logits at the points.

        Returns:
            (N, K, P), logits.
        """
        # Rows of points, of which matrices are the faster form of convolutions of kernel 1.
        x, coarse = fine.transpose(1, 2), coarse.transpose(1, 2)
        for layer in self.hidden:
            x = torch.relu(layer(torch.cat([x, coarse], dim=2)))
        return self.last(torch.cat([x, coarse], dim=2)).transpose(1, 2)
