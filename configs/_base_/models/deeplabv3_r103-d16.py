# DeepLabV3 with output stride 16 (paper, sec. 5) on ResNet-103: ResNet-101 with three 3x3
# convolutions for a stem, mmsegmentation's v1c. Multi-grid, rates and 256 channels are those of the
# DeepLabV3 paper (arXiv:1706.05587), which has no auxiliary head.
_base_ = "mmseg::_base_/models/deeplabv3_r50-d8.py"
model = dict(
    pretrained="open-mmlab://resnet101_v1c",
    backbone=dict(
        depth=101,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        # The rate of res5, 2, times (1, 2, 4); mmsegmentation takes the grid instead of the rate.
        multi_grid=(2, 4, 8),
    ),
    decode_head=dict(channels=256, dilations=(1, 6, 12, 18)),
    auxiliary_head=None,
)
