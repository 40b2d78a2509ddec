"""Weights of other projects, written as checkpoints of ours."""

from pathlib import Path

import torch

from mmseg_pointrend.compat.detectron2_weights import (
    SEMANTIC_FPN,
    Network,
    read_weights,
    rename_weights,
)
from mmseg_pointrend.compat.whole_files import whole_file


def convert_from_detectron2(weights: str | Path, out: str | Path) -> int:
    """Write detectron2's weights of a PointRend model as a checkpoint.

    Args:
        weights: a pickle as detectron2 publishes them, or a checkpoint of its trainer; opened
            without running code. Of SemanticFPN with PointRend, or Mask R-CNN with PointRend.
        out: file to write, for pointrend_r101-caffe in configs/pointrend, or configs/mask_rcnn.

    Returns:
        how many weights it holds.

    Raises:
        FileNotFoundError: if there are no such weights.
        ValueError: if they are unsafe, damaged, or of another network.
        OSError: if the file cannot be written.
        ImportError: for Mask R-CNN without mmdet.
    """
    found = read_weights(weights)
    state = rename_weights(weights, found, _network_of(found))
    with whole_file(out) as file:
        torch.save(dict(state_dict=state, meta=dict(converted_from=Path(weights).name)), file)
    return len(state)


def _network_of(names: dict) -> Network:
    """Tell by names of weights which network they are to be of."""
    if any(name.startswith("sem_seg_head.") for name in names):
        return SEMANTIC_FPN
    from mmseg_pointrend.instance.detectron2 import MASK_RCNN

    return MASK_RCNN
