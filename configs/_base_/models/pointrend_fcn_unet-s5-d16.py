# UNet with one logit for two classes, and PointRend. UNet's own prediction is as fine as the image
# and leaves nothing to render: the coarse head reads the decoder at stride 4, the point head its
# last map, which is as fine as the image.
_base_ = "mmseg::_base_/models/fcn_unet_s5-d16.py"
model = dict(
    type="PointRend",
    decode_head=dict(
        _delete_=True,
        type="PointRendHead",
        num_classes=2,
        out_channels=1,
        coarse_head={
            key: value
            for key, value in _base_.model.decode_head.items()
            if key not in ("num_classes", "loss_decode")
        }
        | dict(in_channels=256, in_index=2),
        point_head=dict(in_channels=[64], in_index=[4], channels=64, num_fcs=3),
        # N: the points of the stride-4 map of a 128x128 crop, and of a window that slides. In
        # pictures full of vessels the 64 of the stride-16 map are too few.
        training_points=dict(num_points=1024),
        subdivision=dict(steps=2, num_points=1024, scale_factor=2),
    ),
    auxiliary_head=dict(out_channels=1, threshold=0.5, loss_decode=dict(use_sigmoid=True)),
    test_cfg=dict(mode="slide", crop_size=(128, 128), stride=(85, 85)),
)
