"""A small foreign network, with all that must not change, and pictures that it has to sharpen."""

import torch
from torch import Tensor, nn

from mmseg_pointrend.core import Neighborhood

CLASSES = 3


class SmallNetwork(nn.Module):
    """Batch normalisation and dropout, a map of stride 2, logits of stride 8."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 5, stride=4, padding=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)
        )
        self.classes = nn.Conv2d(8, CLASSES, 1)


def read_maps(network: SmallNetwork, images: Tensor) -> tuple[Tensor, list]:
    stem = network.stem(images)
    return network.classes(network.body(stem)), [stem, Neighborhood(images)]


def small_network(seed: int = 0) -> SmallNetwork:
    torch.manual_seed(seed)
    return SmallNetwork()


def bars(count: int, height: int = 45, width: int = 70, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw pictures of slanted bars: (count, 3, H, W) of which the colour tells the class."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    slant, shift = torch.rand(2, count, 1, 1, generator=generator)
    labels = ((x + 2 * slant * y + 40 * shift) / 7).long() % CLASSES
    images = nn.functional.one_hot(labels, 3).movedim(3, 1).float()
    return images + 0.2 * torch.randn(images.shape, generator=generator), labels
