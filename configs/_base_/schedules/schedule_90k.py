# The paper's schedule for DeepLabV3 (App. B): SGD from 0.01, a warm-up of 1000 iterations, weight
# decay 0.0001, ten times the learning rate for ASPP and the last convolution of the coarse head.
_base_ = "mmseg::_base_/schedules/schedule_80k.py"
optim_wrapper = dict(
    optimizer=dict(weight_decay=1e-4),
    paramwise_cfg=dict(
        custom_keys=dict(
            image_pool=dict(lr_mult=10.0),
            aspp_modules=dict(lr_mult=10.0),
            bottleneck=dict(lr_mult=10.0),
            conv_seg=dict(lr_mult=10.0),
        )
    ),
)
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.1, begin=0, end=1000),
    dict(type="PolyLR", eta_min=0, power=0.9, begin=1000, end=90000, by_epoch=False),
]
train_cfg = dict(max_iters=90000, val_interval=9000)
default_hooks = dict(checkpoint=dict(interval=9000))
