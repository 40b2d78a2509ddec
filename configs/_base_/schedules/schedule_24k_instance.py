# The paper's schedule for Cityscapes (App. A): 18k and 6k updates at learning rates of 0.01 and
# 0.001 for 8 images, after a warm-up of 1000 from a learning rate of 0.001.
train_cfg = dict(type="IterBasedTrainLoop", max_iters=24000, val_interval=2000)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", begin=0, end=24000, by_epoch=False, milestones=[18000], gamma=0.1),
]
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0001),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
