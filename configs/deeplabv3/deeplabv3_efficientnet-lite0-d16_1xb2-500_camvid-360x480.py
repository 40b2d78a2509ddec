# DeepLabV3 of output stride 16 on CamVid.
_base_ = [
    "../_base_/models/deeplabv3_efficientnet-lite0-d16.py",
    "../_base_/datasets/camvid.py",
    "../_base_/schedules/schedule_500.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size, seg_pad_val=_base_.ignore_index),
    decode_head=dict(num_classes=len(_base_.classes), ignore_index=_base_.ignore_index),
)
