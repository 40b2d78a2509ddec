# The small DeepLabV3 on the busy scenes.
_base_ = [
    "../_base_/models/deeplabv3_r18_small.py",
    "../_base_/datasets/demo_scenes.py",
    "../_base_/schedules/schedule_1k.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(data_preprocessor=dict(size=(128, 256)), decode_head=dict(num_classes=9))
