# mmsegmentation's 40k schedule with the warm-up its PointRend configs add.
_base_ = "mmseg::_base_/schedules/schedule_40k.py"
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.1, begin=0, end=200),
    dict(type="PolyLR", eta_min=1e-4, power=0.9, begin=200, end=40000, by_epoch=False),
]
