# PointRend on the busy scenes with a coarse map of stride 4 (paper, Table 7: SemanticFPN P2-P5).
_base_ = "./pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
model = dict(
    decode_head=dict(
        coarse_head=dict(
            in_channels=[64, 64, 64, 64], in_index=[0, 1, 2, 3], feature_strides=[4, 8, 16, 32]
        ),
        subdivision=dict(steps=2),
    )
)
