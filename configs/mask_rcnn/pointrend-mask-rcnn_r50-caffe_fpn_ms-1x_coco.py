_base_ = [
    "../_base_/models/pointrend-mask-rcnn_r50-caffe_fpn.py",
    "../_base_/datasets/coco_instance_ms.py",
    "mmdet::_base_/schedules/schedule_1x.py",
    "../_base_/instance_runtime.py",
]
