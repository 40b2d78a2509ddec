# Output stride 8: res4 and res5 are as large as res3, and every rate is twice that of output stride
# 16. The paper (Table 6) does so in inference: it tests the weights of output stride 16 this way.
_base_ = "./deeplabv3_r103-d16_4xb4-90k_cityscapes-768x768.py"
model = dict(
    backbone=dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), multi_grid=(4, 8, 16)),
    decode_head=dict(dilations=(1, 12, 24, 36)),
)
