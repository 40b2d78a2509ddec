# SemanticFPN + PointRend (paper, sec. 5), with mmsegmentation's R-50 and FPN.
_base_ = "./fpn_r50.py"
model = dict(
    type="PointRend",
    decode_head=dict(
        _delete_=True,
        type="PointRendHead",
        num_classes=19,
        coarse_head=dict(
            type="FPNHead",
            in_channels=[256, 256, 256, 256],
            in_index=[0, 1, 2, 3],
            feature_strides=[4, 8, 16, 32],
            channels=128,
            dropout_ratio=0,
            norm_cfg=dict(type="SyncBN", requires_grad=True),
        ),
        point_head=dict(in_channels=[256], in_index=[0], channels=256, num_fcs=3),
        # N in training: the points of the stride-16 map of a 512x1024 crop (sec. 5).
        training_points=dict(num_points=2048),
        # From stride 4 to the input; N: the points of the stride-16 map of a 1024x2048 image.
        subdivision=dict(steps=2, num_points=8192, scale_factor=2),
    ),
)
