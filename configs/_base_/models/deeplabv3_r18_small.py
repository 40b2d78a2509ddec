# DeepLabV3 of output stride 16, small enough for two CPU cores: half the channels of R-18, from
# random weights; rates that fit maps of a few pixels.
_base_ = "./fpn_r18_small.py"
model = dict(
    backbone=dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
    neck=None,
    decode_head=dict(
        _delete_=True,
        type="ASPPHead",
        in_channels=256,
        in_index=3,
        channels=64,
        dilations=(1, 2, 4),
        dropout_ratio=0,
        num_classes=19,
        norm_cfg=dict(type="BN"),
    ),
)
