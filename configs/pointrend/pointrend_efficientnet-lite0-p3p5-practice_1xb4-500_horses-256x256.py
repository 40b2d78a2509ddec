# The same with the point head that a practitioner recommends for two classes: one layer, ELU, and
# coarse logits at the size of the fine-grained map.
_base_ = "./pointrend_efficientnet-lite0-p3p5_1xb4-500_horses-256x256.py"
model = dict(
    decode_head=dict(point_head=dict(num_fcs=1, act_cfg=dict(type="ELU")), coarse_at_fine=True)
)
