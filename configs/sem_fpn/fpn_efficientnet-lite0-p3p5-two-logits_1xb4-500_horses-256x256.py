# The same with a logit and a softmax for each of the two classes.
_base_ = "./fpn_efficientnet-lite0-p3p5_1xb4-500_horses-256x256.py"
model = dict(
    decode_head=dict(out_channels=None, threshold=None, loss_decode=dict(use_sigmoid=False))
)
