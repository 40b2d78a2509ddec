# FCN and PointRend: fine-grained features from res2.
_base_ = "mmseg::_base_/models/fcn_r50-d8.py"
model = dict(
    type="PointRend",
    decode_head=dict(
        _delete_=True,
        type="PointRendHead",
        num_classes=19,
        coarse_head=dict(
            type="FCNHead",
            in_channels=2048,
            in_index=3,
            channels=512,
            num_convs=2,
            concat_input=True,
            dropout_ratio=0.1,
            norm_cfg=dict(type="SyncBN", requires_grad=True),
        ),
        point_head=dict(in_channels=[256], in_index=[0], channels=256, num_fcs=3),
        training_points=dict(num_points=2048),
        # From stride 8 to the input.
        subdivision=dict(steps=3, num_points=8192, scale_factor=2),
    ),
)
