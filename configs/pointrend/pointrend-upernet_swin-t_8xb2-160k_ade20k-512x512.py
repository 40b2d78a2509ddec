_base_ = [
    "../_base_/models/pointrend_upernet_swin-t.py",
    "mmseg::_base_/datasets/ade20k.py",
    "../_base_/schedules/schedule_160k_adamw.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    # N: the points of the stride-16 map of a 512x512 crop.
    decode_head=dict(num_classes=150, training_points=dict(num_points=1024)),
    auxiliary_head=dict(num_classes=150),
)
train_dataloader = dict(batch_size=2)
