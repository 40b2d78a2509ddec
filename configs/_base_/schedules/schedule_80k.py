# mmsegmentation's 80k schedule with the warm-up its PointRend configs add; the SemanticFPN
# baselines here use the same one.
_base_ = "mmseg::_base_/schedules/schedule_80k.py"
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.1, begin=0, end=200),
    dict(type="PolyLR", eta_min=1e-4, power=0.9, begin=200, end=80000, by_epoch=False),
]
