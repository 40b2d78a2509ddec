"""What the metrics measure, as functions of label maps: bands around boundaries, distances, IoU.

On torch and `core` alone; the classes beside this folder add up images and ranks.
"""

from mmseg_pointrend.evaluation.functional.boundary import (
    boundary_pixels,
    check_distance,
    check_width,
    inner_boundary,
    mask_boundary,
    resolve_distance,
    trimap,
    trimaps,
)
from mmseg_pointrend.evaluation.functional.distance import squared_distances
from mmseg_pointrend.evaluation.functional.iou import intersections_and_unions, iou_per_class

__all__ = [
    "boundary_pixels",
    "check_distance",
    "check_width",
    "inner_boundary",
    "intersections_and_unions",
    "iou_per_class",
    "mask_boundary",
    "resolve_distance",
    "squared_distances",
    "trimap",
    "trimaps",
]
