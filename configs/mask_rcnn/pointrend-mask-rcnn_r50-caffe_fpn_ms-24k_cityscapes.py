_base_ = [
    "../_base_/models/pointrend-mask-rcnn_r50-caffe_fpn.py",
    "../_base_/datasets/cityscapes_instance_ms.py",
    "../_base_/schedules/schedule_24k_instance.py",
    "../_base_/instance_runtime.py",
]
model = dict(roi_head=dict(bbox_head=dict(num_classes=8)))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=2000))
log_processor = dict(by_epoch=False)
