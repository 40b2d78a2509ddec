"""ESPNet (Mehta et al., ECCV 2018), built from its paper: a network that is published with weights.

Section numbers are the paper's. The names of the parts are those of the published checkpoints, so
that these load as they are; `p` and `q` are the paper's alpha_2 and alpha_3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Dilation rates of the K = 5 parallel convolutions of a block (sec. 3.1), by their names.
DILATIONS = dict(d1=1, d2=2, d4=4, d8=8, d16=16)
#: Of batch normalisation, in the published models.
EPSILON = 1e-3
#: What the published CamVid model takes: BGR, in [0, 255], minus the mean, over the deviation,
#: over 255.
MEAN, DEVIATION = (108.06, 106.45, 103.11), (70.98, 71.65, 68.87)


class Convolution(nn.Module):
    """A convolution that keeps the size, or halves it, with the name that it has in checkpoints."""

    def __init__(self, channels: int, out: int, size: int, stride: int = 1, rate: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels, out, size, stride, padding=size // 2 * rate, dilation=rate, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W) maps."""
        return self.conv(x)


class Activation(nn.Module):
    """Batch normalisation and PReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn, self.act = nn.BatchNorm2d(channels, eps=EPSILON), nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and activate (N, C, H, W) maps."""
        return self.act(self.bn(x))


class ActivatedConvolution(Convolution):
    """A convolution, batch normalisation and PReLU."""

    def __init__(self, channels: int, out: int, size: int, stride: int = 1) -> None:
        super().__init__(channels, out, size, stride)
        self.bn, self.act = nn.BatchNorm2d(out, eps=EPSILON), nn.PReLU(out)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise and activate (N, C, H, W) maps."""
        return self.act(self.bn(self.conv(x)))


class EfficientPyramid(nn.Module):
    """Reduce, split over dilated convolutions, merge by hierarchical feature fusion (sec. 3.1-3.2).

    The sums of ever larger dilations stand side by side with the undilated convolution.
    """

    def __init__(self, channels: int, out: int, reduce: Convolution) -> None:
        super().__init__()
        self.c1 = reduce
        width = out // len(DILATIONS)
        for name, rate in DILATIONS.items():
            # The first one takes what the division leaves.
            own = out - (len(DILATIONS) - 1) * width if rate == 1 else width
            self.add_module(name, Convolution(width, own, 3, rate=rate))

    def merged(self, x: Tensor) -> Tensor:
        """Give the merged maps, not normalised: (N, C, H, W) -> (N, out, h, w)."""
        reduced = self.c1(x)
        first, *others = (getattr(self, name)(reduced) for name in DILATIONS)
        for number in range(1, len(others)):
            others[number] = others[number] + others[number - 1]
        return torch.cat([first, *others], dim=1)


class Downsampling(EfficientPyramid):
    """The block that halves the size: its reduction has stride 2."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, Convolution(channels, out // len(DILATIONS), 3, stride=2))
        self.bn, self.act = nn.BatchNorm2d(out, eps=EPSILON), nn.PReLU(out)

    def forward(self, x: Tensor) -> Tensor:
        """Halve (N, C, H, W) maps."""
        return self.act(self.bn(self.merged(x)))


class Block(EfficientPyramid):
    """The block that keeps the size, with its input added if the channels are as many."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, Convolution(channels, out // len(DILATIONS), 1))
        self.bn = Activation(out)
        self.is_residual = channels == out

    def forward(self, x: Tensor) -> Tensor:
        """Change (N, C, H, W) maps."""
        merged = self.merged(x)
        return self.bn(merged + x if self.is_residual else merged)


def halved(images: Tensor) -> Tensor:
    """Shrink pictures, which every level of the encoder sees again (sec. 3.3)."""
    return F.avg_pool2d(images, 3, stride=2, padding=1)


class Encoder(nn.Module):
    """ESPNet-C (sec. 3.3, Fig. 4c)."""

    def __init__(self, classes: int, p: int, q: int) -> None:
        super().__init__()
        self.level1 = ActivatedConvolution(3, 16, 3, stride=2)
        self.b1 = Activation(16 + 3)
        self.level2_0 = Downsampling(16 + 3, 64)
        self.level2 = nn.ModuleList(Block(64, 64) for _ in range(p))
        self.b2 = Activation(2 * 64 + 3)
        self.level3_0 = Downsampling(2 * 64 + 3, 128)
        self.level3 = nn.ModuleList(Block(128, 128) for _ in range(q))
        self.b3 = Activation(2 * 128)
        self.classifier = Convolution(2 * 128, classes, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give maps of stride 2 (19 channels) and 4 (131), and logits of stride 8."""
        first = self.b1(torch.cat([self.level1(images), halved(images)], dim=1))
        start = x = self.level2_0(first)
        for block in self.level2:
            x = block(x)
        second = self.b2(torch.cat([x, start, halved(halved(images))], dim=1))
        start = x = self.level3_0(second)
        for block in self.level3:
            x = block(x)
        return first, second, self.classifier(self.b3(torch.cat([start, x], dim=1)))


class ESPNet(nn.Module):
    """The encoder with its light-weight decoder (sec. 3.3, Fig. 4d).

    Args:
        classes: channels of the logits.
        p: blocks of the second level.
        q: blocks of the third level.
    """

    def __init__(self, classes: int, p: int = 2, q: int = 8) -> None:
        super().__init__()
        self.encoder = Encoder(classes, p, q)
        self.br = nn.BatchNorm2d(classes, eps=EPSILON)
        self.up_l3 = nn.Sequential(self._doubling(classes))
        self.level3_C = Convolution(2 * 64 + 3, classes, 1)
        self.combine_l2_l3 = nn.Sequential(Activation(2 * classes), Block(2 * classes, classes))
        self.up_l2 = nn.Sequential(self._doubling(classes), Activation(classes))
        self.conv = ActivatedConvolution(19 + classes, classes, 3)
        self.classifier = self._doubling(classes)

    @staticmethod
    def _doubling(classes: int) -> nn.Module:
        return nn.ConvTranspose2d(classes, classes, 2, stride=2, bias=False)

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the encoder's maps of stride 2 and 4, and the decoder's last map, of stride 2.

        Args:
            images: (N, 3, H, W), H and W multiples of 8.
        """
        first, second, coarse = self.encoder(images)
        x = self.up_l3(self.br(coarse))
        x = self.up_l2(self.combine_l2_l3(torch.cat([self.level3_C(second), x], dim=1)))
        return first, second, self.conv(torch.cat([x, first], dim=1))

    def forward(self, images: Tensor) -> Tensor:
        """Predict (N, K, H, W) logits."""
        return self.classifier(self.maps(images)[2])


def normalized(pictures: Tensor) -> Tensor:
    """Turn (N, 3, H, W) pictures, RGB in [0, 255], into what the published CamVid model takes."""
    shift, scale = (pictures.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (pictures.flip(1) - shift) / scale / 255
