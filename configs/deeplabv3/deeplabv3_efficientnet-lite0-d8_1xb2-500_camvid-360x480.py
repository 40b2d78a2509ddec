# Output stride 8, for tests of the weights of output stride 16: every rate is doubled.
_base_ = "./deeplabv3_efficientnet-lite0-d16_1xb2-500_camvid-360x480.py"
model = dict(backbone=dict(output_stride=8), decode_head=dict(dilations=(1, 6, 12, 18)))
