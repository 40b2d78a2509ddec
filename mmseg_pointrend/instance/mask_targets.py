"""What masks should be: on the coarse grid, and at points."""

from collections.abc import Sequence

import torch
from mmdet.models.task_modules import SamplingResult
from mmdet.structures.mask import mask_target
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from mmseg_pointrend.core import Regions, mask_sample

#: Floats that masks may take while they are cropped.
_MOST_FLOATS = 1 << 22


def coarse_targets(
    sampling_results: Sequence[SamplingResult],
    gt_instances: Sequence[InstanceData],
    size: tuple[int, int],
) -> Tensor:
    """Crop the masks of the positive boxes, and resize them to the coarse grid, as mmdet does.

    mmdet copies the whole mask of a picture in floating point for every box; here a few at a time.

    Args:
        sampling_results: of each picture.
        gt_instances: of each picture.
        size: of the coarse grid.

    Returns:
        (R, *size), float32, 0 or 1.
    """
    config = ConfigDict(mask_size=size)
    found = []
    for result, instances in zip(sampling_results, gt_instances, strict=True):
        masks = instances.masks
        count = max(1, _MOST_FLOATS // max(1, masks.height * masks.width))
        for boxes, numbers in zip(
            result.pos_priors.split(count), result.pos_assigned_gt_inds.split(count), strict=True
        ):
            # mmdet clips the boxes to the picture, in place.
            found.append(mask_target([boxes.clone()], [numbers], [masks], config))
    return torch.cat(found)


def point_targets(
    sampling_results: Sequence[SamplingResult],
    gt_instances: Sequence[InstanceData],
    points: Tensor,
) -> Tensor:
    """Read the masks of the positive boxes at points.

    Args:
        sampling_results: of each picture.
        gt_instances: of each picture.
        points: (R, P, 2), (x, y) in [0, 1] of the boxes.

    Returns:
        (R, P), in [0, 1]: bilinear interpolation between the mask's pixels.
    """
    found = []
    of_pictures = points.split([len(result.pos_priors) for result in sampling_results])
    for result, instances, own in zip(sampling_results, gt_instances, of_pictures, strict=True):
        masks = torch.from_numpy(instances.masks.to_ndarray()).to(points.device)
        regions = Regions.from_pixels(
            result.pos_priors, torch.zeros_like(result.pos_assigned_gt_inds), masks.shape[1:]
        )
        numbers = result.pos_assigned_gt_inds
        if len(own):
            found.append(mask_sample(masks, numbers, regions.to_image(own)))
    return torch.cat(found) if found else points[..., 0]
