# detectron2's pointrend_semantic_R_101_FPN_1x_cityscapes. There sizes go in steps of 256 pixels.
_base_ = [
    "../_base_/models/pointrend_fpn_r101-caffe.py",
    "mmseg::_base_/datasets/cityscapes.py",
    "../_base_/schedules/schedule_65k.py",
    "../_base_/pointrend_runtime.py",
]
model = dict(data_preprocessor=dict(size=(512, 1024)))
train_dataloader = dict(batch_size=4)
