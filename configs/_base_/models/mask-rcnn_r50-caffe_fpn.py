# mmdet's Mask R-CNN with detectron2's ResNet-50: blue first, no division by a deviation, frozen
# BatchNorm. Its mask head is the paper's 4x conv.
_base_ = "mmdet::_base_/models/mask-rcnn_r50_fpn.py"
model = dict(
    data_preprocessor=dict(mean=[103.530, 116.280, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(
        norm_cfg=dict(requires_grad=False),
        style="caffe",
        init_cfg=dict(checkpoint="open-mmlab://detectron2/resnet50_caffe"),
    ),
)
