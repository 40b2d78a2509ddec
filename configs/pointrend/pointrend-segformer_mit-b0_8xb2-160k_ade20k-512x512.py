_base_ = [
    "../_base_/models/pointrend_segformer_mit-b0.py",
    "mmseg::_base_/datasets/ade20k.py",
    "../_base_/schedules/schedule_160k_adamw.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    # N: the points of the stride-16 map of a 512x512 crop.
    decode_head=dict(num_classes=150, training_points=dict(num_points=1024)),
)
# As in mmsegmentation's config; here the name means the coarse head and the point head.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0))))
train_dataloader = dict(batch_size=2)
