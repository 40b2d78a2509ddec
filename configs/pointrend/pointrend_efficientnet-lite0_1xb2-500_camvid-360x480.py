# SemanticFPN P2-P5 with PointRend on CamVid.
_base_ = [
    "../_base_/models/pointrend_fpn_efficientnet-lite0.py",
    "../_base_/datasets/camvid.py",
    "../_base_/schedules/schedule_500.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size, seg_pad_val=_base_.ignore_index),
    decode_head=dict(
        num_classes=len(_base_.classes),
        ignore_index=_base_.ignore_index,
        training_points=dict(num_points=675),  # 360 / 16 * 480 / 16
    ),
)
