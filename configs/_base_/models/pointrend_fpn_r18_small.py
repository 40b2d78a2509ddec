# The small SemanticFPN P3-P5 with PointRend: fine-grained features from P2.
_base_ = "./fpn_r18_small.py"
model = dict(
    type="PointRend",
    decode_head=dict(
        _delete_=True,
        type="PointRendHead",
        num_classes=19,
        coarse_head=dict(
            type="FPNHead",
            in_channels=[64, 64, 64],
            in_index=[1, 2, 3],
            feature_strides=[8, 16, 32],
            channels=64,
            dropout_ratio=0,
            norm_cfg=dict(type="BN"),
        ),
        point_head=dict(in_channels=[64], in_index=[0], channels=64, num_fcs=3),
        training_points=dict(num_points=2048),
        # From stride 8 to the input.
        subdivision=dict(steps=3, num_points=8192, scale_factor=2),
    ),
)
