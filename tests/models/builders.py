"""Small models and inputs that several tests share."""

from collections.abc import Sequence

import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_pointrend.models import PointRendHead

init_default_scope("mmseg")

CHANNELS = [8, 8, 8, 8]
STRIDES = [4, 8, 16, 32]


def fpn_head(**changes: object) -> dict:
    """Config of a small SemanticFPN head."""
    return dict(
        dict(
            type="FPNHead", in_channels=CHANNELS, in_index=[0, 1, 2, 3], feature_strides=STRIDES,
            channels=8, dropout_ratio=0, norm_cfg=dict(type="BN"),
        ),
        **changes,
    )  # fmt: skip


def head_config(num_classes: int = 4, **changes: object) -> dict:
    """Config of a small PointRend head."""
    return dict(
        dict(
            type="PointRendHead",
            num_classes=num_classes,
            coarse_head=fpn_head(),
            point_head=dict(in_channels=[8], in_index=[0], channels=12),
            training_points=dict(num_points=32),
            subdivision=dict(steps=2, num_points=64),
        ),
        **changes,
    )


def build_head(num_classes: int = 4, seed: int = 0, **changes: object) -> PointRendHead:
    """Build a small PointRend head with random weights large enough to disagree everywhere."""
    torch.manual_seed(seed)
    config = head_config(num_classes, **changes)
    config.pop("type")
    head = PointRendHead(**config)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return head


def feature_maps(
    height: int, width: int, batch: int = 1, seed: int = 0, channels: Sequence[int] = CHANNELS
) -> list[Tensor]:
    """Random feature maps of an image of that size, at the strides of a feature pyramid."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(batch, count, -(-height // s), -(-width // s), generator=generator)
        for count, s in zip(channels, STRIDES, strict=True)
    ]


def samples_of(labels: Tensor) -> list[SegDataSample]:
    """Wrap (N, H, W) labels as mmsegmentation's data samples."""
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


def model_config(**head: object) -> ConfigDict:
    """Config of a whole small segmentor: R-18 with few channels, FPN, PointRend."""
    return ConfigDict(
        type="PointRend",
        data_preprocessor=dict(
            type="SegDataPreProcessor", mean=[127.0] * 3, std=[60.0] * 3, bgr_to_rgb=True,
            size_divisor=32, pad_val=0, seg_pad_val=255,
        ),
        backbone=dict(
            type="ResNetV1c", depth=18, base_channels=8, stem_channels=8,
            norm_cfg=dict(type="BN"), style="pytorch",
        ),
        neck=dict(type="FPN", in_channels=[8, 16, 32, 64], out_channels=8, num_outs=4),
        decode_head=head_config(**head),
        train_cfg=dict(),
        test_cfg=dict(mode="whole"),
    )  # fmt: skip
