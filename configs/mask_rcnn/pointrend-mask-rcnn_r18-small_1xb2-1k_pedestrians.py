_base_ = [
    "../_base_/models/pointrend-mask-rcnn_r18_small.py",
    "../_base_/datasets/pedestrians.py",
    "../_base_/schedules/schedule_1k_instance.py",
    "../_base_/instance_runtime.py",
]
model = dict(roi_head=dict(bbox_head=dict(num_classes=1)))
default_hooks = dict(
    logger=dict(interval=20, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=1000, max_keep_ckpts=1),
)
log_processor = dict(by_epoch=False)
