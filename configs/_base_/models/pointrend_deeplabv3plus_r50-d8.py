# DeepLabV3+ and PointRend. Its decoder ends at res2's size, so two steps are left; res2 is the
# fine-grained map, too.
_base_ = "mmseg::_base_/models/deeplabv3plus_r50-d8.py"
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
        point_head=dict(in_channels=[256], in_index=[0], channels=256, num_fcs=3),
        training_points=dict(num_points=2048),
        # From stride 4 to the input.
        subdivision=dict(steps=2, num_points=8192, scale_factor=2),
    ),
)
