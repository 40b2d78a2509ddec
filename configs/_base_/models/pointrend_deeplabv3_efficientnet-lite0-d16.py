# DeepLabV3 on EfficientNet-Lite0 with PointRend: fine-grained features of stride 4.
_base_ = "./deeplabv3_efficientnet-lite0-d16.py"
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
        point_head=dict(in_channels=[24], in_index=[0], channels=64, num_fcs=3),
        training_points=dict(num_points=2048),
        # From stride 16 to the input.
        subdivision=dict(steps=4, num_points="stride-16", scale_factor=2),
    ),
)
