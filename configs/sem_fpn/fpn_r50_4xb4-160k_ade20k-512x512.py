_base_ = [
    "../_base_/models/fpn_r50.py",
    "mmseg::_base_/datasets/ade20k.py",
    "../_base_/schedules/schedule_160k.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(data_preprocessor=dict(size=(512, 512)), decode_head=dict(num_classes=150))
