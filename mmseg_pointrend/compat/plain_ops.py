"""Ops of `mmcv._ext` by its names and signatures, without compiling.

Upstream: mmcv 2.1.0. torchvision does the work where it can be imported (it is compiled, also for
GPUs), else plain torch.
"""

import functools
import types

import torch
from torch import Tensor

from mmseg_pointrend.compat.nms import nms as plain_nms
from mmseg_pointrend.compat.roi_align import Sampling, roi_align, roi_align_gradient

_MEAN = 1  # mmcv's pool_mode


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Keep boxes that overlap no better one too much, see `compat.nms`: their indices."""
    ops = _torchvision_ops()
    if ops is not None and offset == 0:
        return ops.nms(boxes, scores, iou_threshold)
    return plain_nms(boxes, scores, iou_threshold, offset)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill `output` with the means of the boxes' bins, see `compat.roi_align`.

    Raises:
        ValueError: for another mode than the mean.
    """
    if pool_mode != _MEAN:
        raise ValueError("RoIAlign needs a compiled mmcv for pool_mode='max'; 'avg' works without")
    size = (aligned_height, aligned_width)
    sampling = Sampling(size, spatial_scale, sampling_ratio, aligned)
    output.copy_(_align(input, rois, sampling))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient of the maps to `grad_input`."""
    size = (aligned_height, aligned_width)
    sampling = Sampling(size, spatial_scale, sampling_ratio, aligned)
    if _torchvision_ops() is None:
        roi_align_gradient(grad_output, rois, sampling, grad_input)
        return
    with torch.enable_grad():
        maps = torch.zeros_like(grad_input, requires_grad=True)
        aligned_maps = _align(maps, rois, sampling)
    (gradient,) = torch.autograd.grad(aligned_maps, maps, grad_output)
    grad_input += gradient


def _align(maps: Tensor, rois: Tensor, sampling: Sampling) -> Tensor:
    ops = _torchvision_ops()
    if ops is None:
        return roi_align(maps, rois, sampling)
    return ops.roi_align(
        maps, rois, sampling.size, sampling.scale, sampling.ratio, sampling.aligned
    )


@functools.cache
def _torchvision_ops() -> types.ModuleType | None:
    """Import torchvision's ops; None where it is missing or was built for another torch."""
    try:
        from torchvision import ops
    except Exception:  # a torchvision for another torch raises more than ImportError
        return None
    return ops
