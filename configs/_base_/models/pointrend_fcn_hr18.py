# HRNet-W18 with its FCN head and PointRend: fine-grained features from the branch of stride 4.
_base_ = "mmseg::_base_/models/fcn_hr18.py"
model = dict(
    type="PointRend",
    decode_head=dict(
        _delete_=True,
        type="PointRendHead",
        num_classes=19,
        # The head of the base as it is; PointRendHead hands on the classes.
        coarse_head={
            key: value
            for key, value in _base_.model.decode_head.items()
            if key not in ("num_classes", "loss_decode")
        },
        point_head=dict(in_channels=[18], in_index=[0], channels=256, num_fcs=3),
        training_points=dict(num_points=2048),
        # From stride 4 to the input.
        subdivision=dict(steps=2, num_points=8192, scale_factor=2),
    ),
)
