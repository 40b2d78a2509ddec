# detectron2's SemanticFPN + PointRend (paper, sec. 5), whose weights tools/convert_detectron2.py
# converts. Only the first layer of its point head reads the coarse prediction.
_base_ = "./fpn_r101-caffe.py"
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
        point_head=dict(
            in_channels=[256], in_index=[0], channels=256, num_fcs=3, coarse_pred_each_layer=False
        ),
        # N in training: the points of the stride-16 map of a 512x1024 crop (sec. 5).
        training_points=dict(num_points=2048),
        # From stride 4 to the input; N: the points of the stride-16 map of a 1024x2048 image.
        subdivision=dict(steps=2, num_points=8192, scale_factor=2),
    ),
)
