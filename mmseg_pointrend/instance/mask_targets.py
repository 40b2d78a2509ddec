"""What masks should be: on the coarse grid, and at points."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from mmcv.ops import roi_align
from mmdet.models.task_modules import SamplingResult
from mmdet.structures.mask import BaseInstanceMasks, BitmapMasks, mask_target
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from mmseg_pointrend.core import Regions, mask_sample
from mmseg_pointrend.core.pieces import piece_size

#: Bytes of masks in floating point that there may be on a CPU while they are cropped.
_CACHE = 1 << 24


class TrueMasks(NamedTuple):
    """The positive boxes of some pictures of one size, and their masks.

    Attributes:
        boxes: (R, 4), pixels of the pictures.
        numbers: (R,), int64, the mask of each box.
        bitmaps: (M, H, W), uint8, the masks of the pictures one after the other, where the boxes
            are.
        given: the masks of each picture.
        counts: how many boxes each picture has.
    """

    boxes: Tensor
    numbers: Tensor
    bitmaps: Tensor
    given: list[BaseInstanceMasks]
    counts: list[int]


def true_masks(
    sampling_results: Sequence[SamplingResult], gt_instances: Sequence[InstanceData]
) -> Iterator[TrueMasks]:
    """Bring the masks to the boxes, those of pictures of one size together.

    On a CPU, where that would be a copy, each picture stays alone.

    Args:
        sampling_results: of each picture.
        gt_instances: of each picture.

    Yields:
        the boxes of one picture or several, in their order.
    """
    pictures = zip(sampling_results, gt_instances, strict=True)
    for _, group in groupby(enumerate(pictures), _group_of):
        results, instances = zip(*(picture for _, picture in group), strict=True)
        given = [one.masks for one in instances]
        first, numbers, bitmaps = 0, [], []
        for result, masks in zip(results, given, strict=True):
            numbers.append(result.pos_assigned_gt_inds + first)
            first += len(masks)
            # Nobody has to wait for it, and the array is not changed.
            bitmaps.append(
                torch.from_numpy(masks.to_ndarray()).to(numbers[0].device, non_blocking=True)
            )
        boxes = [result.pos_priors for result in results]
        yield TrueMasks(
            _joined(boxes), _joined(numbers), _joined(bitmaps), given, [len(own) for own in boxes]
        )


def coarse_targets(groups: Iterable[TrueMasks], size: tuple[int, int]) -> Tensor:
    """Crop the masks of the boxes, and resize them to the coarse grid, as mmdet does.

    mmdet copies the whole mask of a picture in floating point for every box, and asks for boxes and
    results on the CPU; here each mask is copied once, a few at a time.

    Args:
        groups: see `true_masks`.
        size: of the coarse grid.

    Returns:
        (R, *size), float32, 0 or 1.
    """
    return _joined(
        [
            _crop_bitmaps(group, size)
            if all(isinstance(masks, BitmapMasks) for masks in group.given)
            else _crop_as_mmdet(group, size)
            for group in groups
        ]
    )


def point_targets(groups: Iterable[TrueMasks], points: Tensor) -> Tensor:
    """Read the masks of the boxes at points.

    Args:
        groups: see `true_masks`.
        points: (R, P, 2), (x, y) in [0, 1] of the boxes.

    Returns:
        (R, P), in [0, 1]: bilinear interpolation between the mask's pixels.
    """
    groups = list(groups)
    found = []
    for group, own in zip(groups, points.split([len(g.boxes) for g in groups]), strict=True):
        size = (group.bitmaps.shape[1], group.bitmaps.shape[2])
        regions = Regions.from_pixels(group.boxes, group.numbers, size)
        if len(own):
            found.append(mask_sample(group.bitmaps, group.numbers, regions.to_image(own)))
    return _joined(found) if found else points[..., 0]


def _group_of(
    numbered: tuple[int, tuple[SamplingResult, InstanceData]],
) -> tuple[int, int] | int:
    number, (result, instances) = numbered
    on_cpu = result.pos_priors.device.type == "cpu"
    return number if on_cpu else (instances.masks.height, instances.masks.width)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _crop_bitmaps(group: TrueMasks, size: tuple[int, int]) -> Tensor:
    """Crop bitmaps, as many at a time as there may be in floating point."""
    bitmaps, (height, width) = group.bitmaps, group.bitmaps.shape[1:]
    x, y = group.boxes[:, 0::2].clamp(0, width), group.boxes[:, 1::2].clamp(0, height)
    boxes = torch.stack([x, y], dim=2).flatten(1)
    numbers = group.numbers[:, None].to(boxes.dtype)
    count = max(1, piece_size(boxes.device, cache=_CACHE) // max(1, height * width))
    if count >= len(bitmaps):
        return _crop(bitmaps, torch.cat([numbers, boxes], dim=1), size)
    found = boxes.new_zeros(len(boxes), *size)
    for first in range(0, len(bitmaps), count):
        chosen = (group.numbers - first).div(count, rounding_mode="floor") == 0
        rois = torch.cat([numbers[chosen] - first, boxes[chosen]], dim=1)
        found[chosen] = _crop(bitmaps[first : first + count], rois, size)
    return found


def _crop(bitmaps: Tensor, rois: Tensor, size: tuple[int, int]) -> Tensor:
    """Crop (M, H, W) bitmaps to rois (R, 5), the bitmap's number and the box: (R, *size)."""
    if not len(rois):
        return rois.new_zeros(0, *size)
    maps = bitmaps[:, None].to(rois.dtype)
    return (roi_align(maps, rois, size, 1.0, 0, "avg", True)[:, 0] >= 0.5).to(rois.dtype)


def _crop_as_mmdet(group: TrueMasks, size: tuple[int, int]) -> Tensor:
    """Crop polygons."""
    numbers, first = [], 0
    for own, masks in zip(group.numbers.split(group.counts), group.given, strict=True):
        numbers.append(own - first)
        first += len(masks)
    # mmdet clips the boxes to the picture, in place.
    boxes = group.boxes.clone().split(group.counts)
    return mask_target(boxes, numbers, group.given, ConfigDict(mask_size=size))
