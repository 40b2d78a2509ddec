# SemanticFPN P3-P5 (paper, Table 7): a map of stride 8.
_base_ = "./fpn_r101_4xb2-80k_cityscapes-512x1024.py"
model = dict(
    decode_head=dict(in_channels=[256, 256, 256], in_index=[1, 2, 3], feature_strides=[8, 16, 32])
)
