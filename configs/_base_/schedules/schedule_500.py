# About ten minutes on one core: heads from random weights, a backbone that knows ImageNet.
_base_ = "./schedule_1k.py"
optim_wrapper = dict(
    optimizer=dict(lr=1e-3), paramwise_cfg=dict(custom_keys={"backbone": dict(lr_mult=0.1)})
)
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.1, begin=0, end=50),
    dict(type="PolyLR", eta_min=0, power=0.9, begin=50, end=500, by_epoch=False),
]
train_cfg = dict(max_iters=500, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
