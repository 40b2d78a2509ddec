# SemanticFPN P3-P5 with PointRend on horse silhouettes; one logit tells the two classes apart.
_base_ = [
    "../_base_/models/pointrend_fpn_efficientnet-lite0.py",
    "../_base_/datasets/horses.py",
    "../_base_/schedules/schedule_500.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(
        num_classes=len(_base_.classes),
        out_channels=1,
        coarse_head=dict(in_channels=[64, 64, 64], in_index=[1, 2, 3], feature_strides=[8, 16, 32]),
        training_points=dict(num_points=256),  # 256 / 16 * 256 / 16
        subdivision=dict(steps=3),
    ),
)
