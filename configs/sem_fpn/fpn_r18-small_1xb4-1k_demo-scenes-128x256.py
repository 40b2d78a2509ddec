# Its baseline on the busy scenes: the same data, schedule and coarse model without PointRend.
_base_ = [
    "../_base_/models/fpn_r18_small.py",
    "../_base_/datasets/demo_scenes.py",
    "../_base_/schedules/schedule_1k.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(data_preprocessor=dict(size=(128, 256)), decode_head=dict(num_classes=9))
