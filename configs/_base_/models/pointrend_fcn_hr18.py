# HRNet-W18 with its FCN head and PointRend: fine-grained features from the branch of stride 4.
_base_ = "mmseg::_base_/models/fcn_hr18.py"
model = dict(
    type="PointRend",
    decode_head=dict(
        _delete_=True,
        type="PointRendHead",
        num_classes=19,
        coarse_head=dict(
            type="FCNHead",
            in_channels=[18, 36, 72, 144],
            in_index=[0, 1, 2, 3],
            input_transform="resize_concat",
            channels=270,
            kernel_size=1,
            num_convs=1,
            concat_input=False,
            dropout_ratio=-1,
            norm_cfg=dict(type="SyncBN", requires_grad=True),
        ),
        point_head=dict(in_channels=[18], in_index=[0], channels=256, num_fcs=3),
        training_points=dict(num_points=2048),
        # From stride 4 to the input.
        subdivision=dict(steps=2, num_points=8192, scale_factor=2),
    ),
)
