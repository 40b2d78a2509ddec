# The small DeepLabV3 with PointRend: fine-grained features from res2.
_base_ = "./deeplabv3_r18_small.py"
model = dict(
    type="PointRend",
    decode_head=dict(
        _delete_=True,
        type="PointRendHead",
        num_classes=19,
        coarse_head=dict(
            type="ASPPHead",
            in_channels=256,
            in_index=3,
            channels=64,
            dilations=(1, 2, 4),
            dropout_ratio=0,
            norm_cfg=dict(type="BN"),
        ),
        point_head=dict(in_channels=[32], in_index=[0], channels=64, num_fcs=3),
        training_points=dict(num_points=2048),
        # From stride 16 to the input.
        subdivision=dict(steps=4, num_points=8192, scale_factor=2),
    ),
)
