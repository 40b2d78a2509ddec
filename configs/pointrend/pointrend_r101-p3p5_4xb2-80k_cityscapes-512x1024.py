# SemanticFPN P3-P5 (paper, Table 7): a coarse map of stride 8, fine-grained features still from P2.
_base_ = "./pointrend_r101_4xb2-80k_cityscapes-512x1024.py"
model = dict(
    decode_head=dict(
        coarse_head=dict(
            in_channels=[256, 256, 256], in_index=[1, 2, 3], feature_strides=[8, 16, 32]
        ),
        subdivision=dict(steps=3),
    )
)
