"""The paper, free of any framework: torch and the standard library, nothing else.

Conventions
-----------
N: images or regions of images (an instance's box is a region), C: feature channels, K: classes,
P: points, (h, w): coarse grid, (H, W): output grid.

A point is (x, y) in [0, 1] x [0, 1] of its image or region, x to the right and y downwards. Pixel i
of a grid with S pixels along an axis has its centre at (i + 0.5) / S and covers [i / S, (i + 1) /
S] (what torch calls `align_corners=False`), whatever S is: a point means the same place on every
grid.

A margin is (N, ...) >= 0 and small where a prediction is uncertain: selection takes the smallest.
"""

from mmseg_pointrend.core.budget import resolve_num_points
from mmseg_pointrend.core.geometry import Crop, Flip, Resize, Warp, warp_map
from mmseg_pointrend.core.label_rendering import render_labels
from mmseg_pointrend.core.points import label_sample, pixel_centers, point_sample, regular_grid
from mmseg_pointrend.core.selection import (
    check_training_selection,
    most_uncertain_pixels,
    select_training_points,
)
from mmseg_pointrend.core.sliding import LogitBand, Window, list_windows, slide_labels
from mmseg_pointrend.core.strategies import TRAINING_STRATEGIES, Bias, resolve_bias
from mmseg_pointrend.core.subdivision import (
    SubdivisionStep,
    check_subdivision,
    render,
    subdivide,
)
from mmseg_pointrend.core.uncertainty import MARGINS, logit_margin, probability_margin

__all__ = [
    "MARGINS",
    "TRAINING_STRATEGIES",
    "Bias",
    "Crop",
    "Flip",
    "LogitBand",
    "Resize",
    "SubdivisionStep",
    "Warp",
    "Window",
    "check_subdivision",
    "check_training_selection",
    "label_sample",
    "list_windows",
    "logit_margin",
    "most_uncertain_pixels",
    "pixel_centers",
    "point_sample",
    "probability_margin",
    "regular_grid",
    "render",
    "render_labels",
    "resolve_bias",
    "resolve_num_points",
    "select_training_points",
    "slide_labels",
    "subdivide",
    "warp_map",
]
