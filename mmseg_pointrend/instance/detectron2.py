"""detectron2's names of Mask R-CNN with PointRend.

Upstream: detectron2 0.6, projects/PointRend. Its network is the same as mmdet's.
"""

from mmseg_pointrend.compat.detectron2_weights import Network

# Of the mask head there are two forms: an old one, before its version 2, and a newer one.
_COARSE, _POINT = (
    rf"roi_heads\.mask_(?:head\.)?{part}\." for part in ("coarse_head", "point_head")
)
_MASK_HEAD = "roi_head.mask_head."

#: For a `PointRendStandardRoIHead`'s detector (`style="caffe"`, images in BGR).
MASK_RCNN = Network(
    "Mask R-CNN with PointRend and an FPN",
    (
        (r"proposal_generator\.rpn_head\.conv\.(.+)", r"rpn_head.rpn_conv.\1"),
        (r"proposal_generator\.rpn_head\.objectness_logits\.(.+)", r"rpn_head.rpn_cls.\1"),
        (r"proposal_generator\.rpn_head\.anchor_deltas\.(.+)", r"rpn_head.rpn_reg.\1"),
        (r"roi_heads\.box_head\.fc(\d)\.(.+)", r"roi_head.bbox_head.shared_fcs.{0}.\2"),
        (r"roi_heads\.box_predictor\.cls_score\.(.+)", r"roi_head.bbox_head.fc_cls.\1"),
        (r"roi_heads\.box_predictor\.bbox_pred\.(.+)", r"roi_head.bbox_head.fc_reg.\1"),
        (
            _COARSE + r"reduce_spatial_dim_conv\.(.+)",
            _MASK_HEAD + r"coarse_head.downsample_conv.conv.\1",
        ),
        (_COARSE + r"(?:coarse_mask_)?fc(\d)\.(.+)", _MASK_HEAD + r"coarse_head.fcs.{0}.\2"),
        (_COARSE + r"prediction\.(.+)", _MASK_HEAD + r"coarse_head.fc_logits.\1"),
        (_POINT + r"fc(\d)\.(.+)", _MASK_HEAD + r"point_head.fcs.{0}.conv.\2"),
        (_POINT + r"predictor\.(.+)", _MASK_HEAD + r"point_head.fc_seg.\1"),
    ),
)
