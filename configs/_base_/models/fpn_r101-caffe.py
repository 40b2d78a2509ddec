# detectron2's SemanticFPN (paper, sec. 5): blue first, no division by a deviation, strides in the
# 1x1 convolutions, frozen BatchNorm, GroupNorm in the head; test pictures are padded for P5.
_base_ = "./fpn_r50.py"
model = dict(
    data_preprocessor=dict(
        mean=[103.530, 116.280, 123.675],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
        test_cfg=dict(size_divisor=32),
    ),
    pretrained="open-mmlab://detectron2/resnet101_caffe",
    backbone=dict(
        type="ResNet",
        depth=101,
        norm_cfg=dict(type="BN", requires_grad=False),
        norm_eval=True,
        style="caffe",
    ),
    decode_head=dict(norm_cfg=dict(_delete_=True, type="GN", num_groups=32)),
)
