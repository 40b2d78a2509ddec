"""The fully connected CRF (Kraehenbuhl, Koltun; NeurIPS 2011), by the package pydensecrf2."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

#: How to get the package.
INSTALL = "pip install pydensecrf2"
#: No probability is smaller, or its logarithm would be infinite.
LEAST = 1e-7


@dataclass(frozen=True)
class CrfSettings:
    """Weights and widths of the two kernels (the paper's eq. 3), and how often messages are passed.

    Attributes:
        smooth_weight: of the kernel of places alone.
        smooth_pixels: its width.
        color_weight: of the kernel of places and colours.
        color_pixels: its width in the picture.
        color_levels: its width in colour, of 0 to 255.
        iterations: of mean field.
    """

    smooth_weight: float = 3
    smooth_pixels: float = 3
    color_weight: float = 10
    color_pixels: float = 80
    color_levels: float = 13
    iterations: int = 5


def why_missing() -> str | None:
    """Say why there is no CRF here, and how to get it; None if there is one."""
    try:
        import pydensecrf.densecrf  # noqa: F401
    except ImportError as error:
        return f"{INSTALL} ({error})"
    return None


def dense_crf(picture: Tensor, probabilities: Tensor, settings: CrfSettings) -> Tensor:
    """Let pixels that are near and of like colour agree on a class.

    Args:
        picture: (1, 3, H, W), in [0, 1].
        probabilities: (1, K, H, W); K = 1: of class 1.
        settings: of the kernels.

    Returns:
        (1, K, H, W), probabilities.

    Raises:
        ImportError: if pydensecrf2 is missing.
    """
    from pydensecrf.densecrf import DenseCRF2D

    alone = probabilities.shape[1] == 1
    classes = torch.cat([1 - probabilities, probabilities], 1) if alone else probabilities
    count, height, width = classes.shape[1:]
    pixels = (255 * picture[0]).round().clamp(0, 255).byte().permute(1, 2, 0)
    energy = -classes[0].float().clamp(min=LEAST).log().flatten(1)
    crf = DenseCRF2D(width, height, count)
    crf.setUnaryEnergy(np.ascontiguousarray(energy.cpu().numpy()))
    crf.addPairwiseGaussian(sxy=settings.smooth_pixels, compat=settings.smooth_weight)
    crf.addPairwiseBilateral(
        sxy=settings.color_pixels,
        srgb=settings.color_levels,
        rgbim=np.ascontiguousarray(pixels.cpu().numpy()),
        compat=settings.color_weight,
    )
    found = np.array(crf.inference(settings.iterations)).reshape(1, count, height, width)
    result = torch.from_numpy(found).to(probabilities)
    return result[:, 1:] if alone else result
