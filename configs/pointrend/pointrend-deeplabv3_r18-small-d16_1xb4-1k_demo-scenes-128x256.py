# The small DeepLabV3 with PointRend on the busy scenes; points as in `pointrend_r18-small`.
_base_ = [
    "../_base_/models/pointrend_deeplabv3_r18_small.py",
    "../_base_/datasets/demo_scenes.py",
    "../_base_/schedules/schedule_1k.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(
    data_preprocessor=dict(size=(128, 256)),
    decode_head=dict(
        num_classes=9,
        training_points=dict(num_points=1024),
        subdivision=dict(num_points=1152),
    ),
)
