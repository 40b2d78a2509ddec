# SemanticFPN, the coarse model alone. Without dropout, as the coarse head of PointRend has none:
# the two differ by PointRend and nothing else.
_base_ = "mmseg::_base_/models/fpn_r50.py"
model = dict(decode_head=dict(dropout_ratio=0))
