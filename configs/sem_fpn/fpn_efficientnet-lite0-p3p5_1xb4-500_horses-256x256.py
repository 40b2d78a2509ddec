# SemanticFPN P3-P5 on horse silhouettes; one logit tells the two classes apart.
_base_ = [
    "../_base_/models/fpn_efficientnet-lite0.py",
    "../_base_/datasets/horses.py",
    "../_base_/schedules/schedule_500.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(
        in_channels=[64, 64, 64],
        in_index=[1, 2, 3],
        feature_strides=[8, 16, 32],
        num_classes=len(_base_.classes),
        out_channels=1,
        threshold=0.5,
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0),
    ),
)
