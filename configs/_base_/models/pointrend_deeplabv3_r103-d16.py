# DeepLabV3 + PointRend (paper, sec. 5): fine-grained features from res2.
_base_ = "./deeplabv3_r103-d16.py"
model = dict(
    type="PointRend",
    decode_head=dict(
        _delete_=True,
        type="PointRendHead",
        num_classes=19,
        coarse_head=dict(
            type="ASPPHead",
            in_channels=2048,
            in_index=3,
            channels=256,
            dilations=(1, 6, 12, 18),
            dropout_ratio=0.1,
            norm_cfg=dict(type="SyncBN", requires_grad=True),
        ),
        point_head=dict(in_channels=[256], in_index=[0], channels=256, num_fcs=3),
        # N in training: the points of the stride-16 map of a 768x768 crop (sec. 5).
        training_points=dict(num_points=2304),
        # From stride 16 to the input; N: the points of the stride-16 map of a 1024x2048 image.
        subdivision=dict(steps=4, num_points=8192, scale_factor=2),
    ),
)
