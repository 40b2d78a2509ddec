# The paper's schedule for SemanticFPN (App. B) as detectron2 has it: 40k, 15k and 10k updates at
# learning rates of 0.01, 0.001 and 0.0001 for 32 images, after a warm-up of 1000; normalisation
# layers do not decay.
_base_ = "mmseg::_base_/schedules/schedule_80k.py"
optim_wrapper = dict(optimizer=dict(weight_decay=1e-4), paramwise_cfg=dict(norm_decay_mult=0.0))
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.001, begin=0, end=1000),
    dict(
        type="MultiStepLR", by_epoch=False, begin=0, end=65000, milestones=[40000, 55000], gamma=0.1
    ),
]
train_cfg = dict(max_iters=65000, val_interval=6500)
default_hooks = dict(checkpoint=dict(interval=6500))
