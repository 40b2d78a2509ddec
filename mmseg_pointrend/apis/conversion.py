"""Weights of other projects, written as checkpoints of ours."""

from pathlib import Path

import torch

from mmseg_pointrend.compat.whole_files import whole_file


def convert_from_detectron2(weights: str | Path, out: str | Path) -> int:
    """Write detectron2's weights of Mask R-CNN with PointRend as a checkpoint.

    Args:
        weights: a pickle as detectron2 publishes them; opened without running code.
        out: file to write, for configs/mask_rcnn.

    Returns:
        how many weights it holds.

    Raises:
        FileNotFoundError: if there are no such weights.
        ValueError: if they are unsafe, damaged, or of another network.
        OSError: if the file cannot be written.
        ImportError: without mmdet.
    """
    from mmseg_pointrend.instance.detectron2 import convert_detectron2

    state = convert_detectron2(weights)
    with whole_file(out) as file:
        torch.save(dict(state_dict=state, meta=dict(converted_from=Path(weights).name)), file)
    return len(state)
