_base_ = [
    "../_base_/models/pointrend_fcn_hr18.py",
    "mmseg::_base_/datasets/cityscapes.py",
    "../_base_/schedules/schedule_80k.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(data_preprocessor=dict(size=(512, 1024)))
