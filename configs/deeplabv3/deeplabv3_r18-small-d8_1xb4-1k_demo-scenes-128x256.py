# Output stride 8, for tests of the weights of output stride 16: every rate is doubled.
_base_ = "./deeplabv3_r18-small-d16_1xb4-1k_demo-scenes-128x256.py"
model = dict(
    backbone=dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
    decode_head=dict(dilations=(1, 4, 8)),
)
