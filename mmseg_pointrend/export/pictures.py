"""What happens to pictures before the network sees them, as a part of the exported graph."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Orders of the channels.
ORDERS = ("rgb", "bgr")
#: Types of pixels.
PIXELS = {"uint8": torch.uint8, "float32": torch.float32}


@dataclass(frozen=True)
class PictureFormat:
    """The pictures that an exported graph takes.

    Attributes:
        order: "rgb" or "bgr", of the three channels.
        pixels: "uint8" or "float32", in both cases from 0 to 255.
        normalized: the pictures are normalised already and have the network's order of channels:
            the graph does neither. They are "float32" then.

    Raises:
        ValueError: for a setting that there is none of, or normalised pictures of integers.
    """

    order: str = "rgb"
    pixels: str = "uint8"
    normalized: bool = False

    def __post_init__(self) -> None:
        for name, choices in (("order", ORDERS), ("pixels", PIXELS)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {list(choices)}, got {getattr(self, name)!r}"
                )
        if self.normalized and self.pixels != "float32":
            raise ValueError(f"normalised pictures have pixels of float32, got {self.pixels}")

    @property
    def dtype(self) -> torch.dtype:
        """The type of pixels in torch."""
        return PIXELS[self.pixels]


class Preparation(nn.Module):
    """What a model's preprocessor does in testing: order of channels, normalisation, padding.

    Args:
        preprocessor: of the model; mmsegmentation's, or one with the same settings.
        pictures: what comes in.

    Raises:
        ValueError: for a preprocessor that pads test pictures to one size.
    """

    def __init__(self, preprocessor: nn.Module, pictures: PictureFormat) -> None:
        super().__init__()
        theirs: Any = preprocessor
        self.divisor = (getattr(theirs, "test_cfg", None) or {}).get("size_divisor", 1)
        if "size" in (getattr(theirs, "test_cfg", None) or {}):
            raise ValueError(
                "data_preprocessor.test_cfg.size pads every picture to one size, which a graph for "
                "any size cannot; leave it out, or take size_divisor"
            )
        self.pad_value = getattr(theirs, "pad_val", 0)
        # A config's pipeline reads pictures blue first, as OpenCV does.
        self.network_order = "rgb" if getattr(theirs, "channel_conversion", False) else "bgr"
        for name in ("mean", "std"):
            value = getattr(theirs, name, None)
            self.register_buffer(name, None if value is None else value.clone())
        self.normalized = pictures.normalized
        self.swaps = not self.normalized and pictures.order != self.network_order

    def forward(self, pictures: Tensor) -> Tensor:
        """Prepare (N, C, H, W) pictures: float32, padded below and to the right."""
        inputs = pictures.float()
        if self.swaps and pictures.shape[1] == 3:
            inputs = inputs.flip(1)
        if self.mean is not None and not self.normalized:
            inputs = (inputs - self.mean) / self.std
        if self.divisor > 1:
            down, across = (-side % self.divisor for side in inputs.shape[2:])
            inputs = F.pad(inputs, (0, across, 0, down), value=self.pad_value)
        return inputs
