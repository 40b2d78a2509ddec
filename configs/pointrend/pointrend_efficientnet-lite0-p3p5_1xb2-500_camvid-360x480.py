# The same with a coarse map of stride 8 (paper, Table 7: SemanticFPN P3-P5).
_base_ = "./pointrend_efficientnet-lite0_1xb2-500_camvid-360x480.py"
model = dict(
    decode_head=dict(
        coarse_head=dict(in_channels=[64, 64, 64], in_index=[1, 2, 3], feature_strides=[8, 16, 32]),
        subdivision=dict(steps=3),
    )
)
