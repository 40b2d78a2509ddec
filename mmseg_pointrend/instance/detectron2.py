"""detectron2's weights of Mask R-CNN with PointRend, under the names that they have here.

Upstream: detectron2 0.6, projects/PointRend. Its network is the same as mmdet's; the numbers of
layers and modules are not.
"""

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmseg_pointrend.compat.numpy_pickles import load_arrays

_RES = r"backbone\.bottom_up\.res(\d)\.(\d+)\."
_LAYER = r"backbone.layer{0}.\2."
# Of the mask head there are two forms: an old one, before its version 2, and a newer one.
_COARSE, _POINT = (
    rf"roi_heads\.mask_(?:head\.)?{part}\." for part in ("coarse_head", "point_head")
)
_MASK_HEAD = "roi_head.mask_head."

#: (pattern of a whole name there, name here), in the order in which they are tried. {0}: the first
#: number - 1; {1}: the same - 2.
_NAMES: tuple[tuple[str, str], ...] = (
    (r"backbone\.bottom_up\.stem\.conv1\.norm\.(.+)", r"backbone.bn1.\1"),
    (r"backbone\.bottom_up\.stem\.conv1\.(.+)", r"backbone.conv1.\1"),
    (_RES + r"conv(\d)\.norm\.(.+)", _LAYER + r"bn\3.\4"),
    (_RES + r"conv(\d)\.(.+)", _LAYER + r"conv\3.\4"),
    (_RES + r"shortcut\.norm\.(.+)", _LAYER + r"downsample.1.\3"),
    (_RES + r"shortcut\.(.+)", _LAYER + r"downsample.0.\3"),
    (r"backbone\.fpn_lateral(\d)\.(.+)", r"neck.lateral_convs.{1}.conv.\2"),
    (r"backbone\.fpn_output(\d)\.(.+)", r"neck.fpn_convs.{1}.conv.\2"),
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
)
#: What has no counterpart: it follows from the config.
_LEFT_OUT = re.compile(
    r"proposal_generator\.anchor_generator\..+|pixel_(?:mean|std)|.+\.num_batches_tracked"
)


def convert_detectron2(path: str | Path) -> dict[str, Tensor]:
    """Read detectron2's weights of Mask R-CNN with PointRend.

    Args:
        path: a pickle, as detectron2 publishes them; opened without running code.

    Returns:
        the state dict of a `PointRendStandardRoIHead`'s detector (`style="caffe"`, images in BGR).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is unsafe, damaged, or of another network.
    """
    content = load_arrays(path)
    weights = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise ValueError(f"weights {path} are no dict of arrays, got {type(content).__name__}")
    found, unknown = {}, []
    for name, array in weights.items():
        if _LEFT_OUT.fullmatch(str(name)):
            continue
        own = _rename(str(name))
        if own is None or not isinstance(array, np.ndarray):
            unknown.append(str(name))
        else:
            found[own] = torch.from_numpy(np.array(array))
    if unknown:
        raise ValueError(
            f"weights {path} are not of detectron2's Mask R-CNN with PointRend and an FPN: "
            f"{len(unknown)} of {len(weights)} entries are unknown, such as {unknown[0]}"
        )
    return found


def _rename(name: str) -> str | None:
    for pattern, own in _NAMES:
        match = re.fullmatch(pattern, name)
        if match is not None:
            number = int(match[1]) if match[1].isdigit() else 0
            # Stages begin with res2 and P2, layers with 1.
            return match.expand(own.format(number - 1, number - 2))
    return None
