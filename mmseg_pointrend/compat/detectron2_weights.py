"""Weights that detectron2 writes, under the names that OpenMMLab has for them.

Upstream: detectron2 0.6, projects/PointRend. Its ResNet and FPN are those of mmsegmentation and
mmdet; the names of modules and the numbers in them are not. It can go when detectron2's weights are
published under these names.
"""

import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmseg_pointrend.compat.checkpoints import load_from_local
from mmseg_pointrend.compat.numpy_pickles import load_arrays

#: (pattern of a whole name there, name here), in the order in which they are tried. {0}: the first
#: number - 1; {1}: the same - 2.
Names = tuple[tuple[str, str], ...]

_RES = r"backbone\.bottom_up\.res(\d)\.(\d+)\."
_LAYER = r"backbone.layer{0}.\2."
_RESNET_AND_FPN: Names = (
    (r"backbone\.bottom_up\.stem\.conv1\.norm\.(.+)", r"backbone.bn1.\1"),
    (r"backbone\.bottom_up\.stem\.conv1\.(.+)", r"backbone.conv1.\1"),
    (_RES + r"conv(\d)\.norm\.(.+)", _LAYER + r"bn\3.\4"),
    (_RES + r"conv(\d)\.(.+)", _LAYER + r"conv\3.\4"),
    (_RES + r"shortcut\.norm\.(.+)", _LAYER + r"downsample.1.\3"),
    (_RES + r"shortcut\.(.+)", _LAYER + r"downsample.0.\3"),
    (r"backbone\.fpn_lateral(\d)\.(.+)", r"neck.lateral_convs.{1}.conv.\2"),
    (r"backbone\.fpn_output(\d)\.(.+)", r"neck.fpn_convs.{1}.conv.\2"),
)
#: What has no counterpart: it follows from the config.
_LEFT_OUT = re.compile(
    r"proposal_generator\.anchor_generator\..+|pixel_(?:mean|std)|.+\.num_batches_tracked"
)


class Network(NamedTuple):
    """A network of detectron2's with a ResNet and an FPN.

    Attributes:
        title: what it is called in messages.
        heads: names of all the rest.
    """

    title: str
    heads: Names


_HEAD = r"sem_seg_head\."
_COARSE = _HEAD + r"coarse_sem_seg_head\."
#: As mmsegmentation's PointRend has them, a list of two heads. Its `FPNHead` with GroupNorm is
#: detectron2's `SemSegFPNHead`: convolution, normalisation, ReLU and twice the size, and again.
SEMANTIC_FPN = Network(
    "SemanticFPN with PointRend",
    (
        (_COARSE + r"p(\d)\.(\d)\.norm\.(.+)", r"decode_head.0.scale_heads.{1}.\2.gn.\3"),
        (_COARSE + r"p(\d)\.(\d)\.(.+)", r"decode_head.0.scale_heads.{1}.\2.conv.\3"),
        (_COARSE + r"predictor\.(.+)", r"decode_head.0.conv_seg.\1"),
        (_HEAD + r"point_head\.fc(\d)\.(.+)", r"decode_head.1.fcs.{0}.conv.\2"),
        (_HEAD + r"point_head\.predictor\.(.+)", r"decode_head.1.fc_seg.\1"),
    ),
)


def read_weights(path: str | Path) -> dict[str, Any]:
    """Read detectron2's weights, under its names; no code in the file is run.

    Args:
        path: a pickle of arrays, as detectron2 publishes them, or a checkpoint of its trainer.

    Returns:
        arrays or tensors by their names, and what else is among them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is unsafe, damaged, or holds something else.
    """
    is_archive = Path(path).is_file() and zipfile.is_zipfile(path)
    content = load_from_local(path, "cpu") if is_archive else load_arrays(path)
    weights = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise ValueError(f"weights {path} are no dict of arrays, got {type(content).__name__}")
    return {str(name): values for name, values in weights.items()}


def rename_weights(
    path: str | Path, weights: dict[str, Any], network: Network
) -> dict[str, Tensor]:
    """Give weights the names that they have here.

    Args:
        path: where they are from, for messages.
        weights: as `read_weights` gives them.
        network: whose weights they are to be.

    Raises:
        ValueError: if they are of another network.
    """
    names = _RESNET_AND_FPN + network.heads
    found, unknown = {}, []
    for name, values in weights.items():
        if _LEFT_OUT.fullmatch(name):
            continue
        own = _rename(name, names)
        if own is None or not isinstance(values, np.ndarray | Tensor):
            unknown.append(name)
        else:
            is_tensor = isinstance(values, Tensor)
            found[own] = values if is_tensor else torch.from_numpy(np.array(values))
    if unknown:
        raise ValueError(
            f"weights {path} are not of detectron2's {network.title}: {len(unknown)} of "
            f"{len(weights)} entries are unknown, such as {unknown[0]}"
        )
    return found


def _rename(name: str, names: Names) -> str | None:
    for pattern, own in names:
        match = re.fullmatch(pattern, name)
        if match is not None:
            number = int(match[1]) if match[1].isdigit() else 0
            # Stages begin with res2 and P2, layers with 1.
            return match.expand(own.format(number - 1, number - 2))
    return None
