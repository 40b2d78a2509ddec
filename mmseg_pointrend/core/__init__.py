"""The paper, free of any framework: torch and the standard library, nothing else.

Conventions
-----------
N: images or regions of images (an instance's box is a region), B: images, R: regions, C: feature
channels, K: classes, P: points, (h, w): coarse grid, (H, W): output grid.

A point is (x, y) in [0, 1] x [0, 1] of its image or region, x to the right and y downwards. Pixel i
of a grid with S pixels along an axis has its centre at (i + 0.5) / S and covers [i / S, (i + 1) /
S] (what torch calls `align_corners=False`), whatever S is: a point means the same place on every
grid.

A margin is (N, ...) and small where a prediction is uncertain: selection takes the smallest.
"""

from mmseg_pointrend.core.decision import (
    THRESHOLD,
    confidence,
    decide,
    decide_by_probability,
    two_best,
)
from mmseg_pointrend.core.features import PointFeatures
from mmseg_pointrend.core.geometry import (
    Crop,
    Flip,
    Place,
    Resize,
    Step,
    Warp,
    mixes_pixels,
    warp_map,
    warp_points,
    warp_size,
    warp_taps,
)
from mmseg_pointrend.core.label_rendering import WAYS, render_labels
from mmseg_pointrend.core.neighborhood import Neighborhood
from mmseg_pointrend.core.pasting import paste_masks
from mmseg_pointrend.core.points import (
    label_sample,
    mask_sample,
    pixel_centers,
    point_sample,
    regular_grid,
)
from mmseg_pointrend.core.regions import Regions
from mmseg_pointrend.core.sliding import LogitBand, Window, list_windows, slide_labels
from mmseg_pointrend.core.subdivision import (
    PredictPoints,
    Subdivision,
    SubdivisionStep,
    lasting_steps,
    most_uncertain_pixels,
    render,
    subdivide,
    uncertain_pixels,
)
from mmseg_pointrend.core.training_points import (
    TRAINING_STRATEGIES,
    Bias,
    Sampler,
    TrainingPoints,
    select_training_points,
)
from mmseg_pointrend.core.uncertainty import (
    MARGINS,
    BoundedMargin,
    Margin,
    logit_margin,
    probability_margin,
)

__all__ = [
    "MARGINS",
    "THRESHOLD",
    "TRAINING_STRATEGIES",
    "WAYS",
    "Bias",
    "BoundedMargin",
    "Crop",
    "Flip",
    "LogitBand",
    "Margin",
    "Neighborhood",
    "Place",
    "PointFeatures",
    "PredictPoints",
    "Regions",
    "Resize",
    "Sampler",
    "Step",
    "Subdivision",
    "SubdivisionStep",
    "TrainingPoints",
    "Warp",
    "Window",
    "confidence",
    "decide",
    "decide_by_probability",
    "label_sample",
    "lasting_steps",
    "list_windows",
    "logit_margin",
    "mask_sample",
    "mixes_pixels",
    "most_uncertain_pixels",
    "paste_masks",
    "pixel_centers",
    "point_sample",
    "probability_margin",
    "regular_grid",
    "render",
    "render_labels",
    "select_training_points",
    "slide_labels",
    "subdivide",
    "two_best",
    "uncertain_pixels",
    "warp_map",
    "warp_points",
    "warp_size",
    "warp_taps",
]
