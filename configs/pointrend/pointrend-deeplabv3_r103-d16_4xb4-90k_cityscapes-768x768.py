_base_ = [
    "../_base_/models/pointrend_deeplabv3_r103-d16.py",
    "../_base_/datasets/cityscapes_768x768.py",
    "../_base_/schedules/schedule_90k.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(data_preprocessor=dict(size=(768, 768)))
