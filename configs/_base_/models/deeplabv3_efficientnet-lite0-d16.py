# DeepLabV3 of output stride 16 on EfficientNet-Lite0; half the rates of the paper (6, 12, 18), as
# the pictures are half as large.
_base_ = "./fpn_efficientnet-lite0.py"
model = dict(
    backbone=dict(output_stride=16),
    neck=None,
    decode_head=dict(
        _delete_=True,
        type="ASPPHead",
        in_channels=320,
        in_index=3,
        channels=64,
        dilations=(1, 3, 6, 9),
        dropout_ratio=0,
        num_classes=19,
        norm_cfg=dict(type="BN"),
    ),
)
