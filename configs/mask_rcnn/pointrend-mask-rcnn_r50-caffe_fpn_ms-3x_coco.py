_base_ = [
    "../_base_/models/pointrend-mask-rcnn_r50-caffe_fpn.py",
    "../_base_/datasets/coco_instance_ms.py",
    "../_base_/schedules/schedule_3x_instance.py",
    "../_base_/instance_runtime.py",
]
