# mmdet's schedule of three times the length, as its PointRend has it: 36 passes over the data.
_base_ = "mmdet::_base_/schedules/schedule_1x.py"
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=36, by_epoch=True, milestones=[28, 34], gamma=0.1),
]
train_cfg = dict(max_epochs=36)
