"""Rendering labels without rendering logits (paper, sec. 3.1, "Inference", made exact and sparse).

`core.render` holds the logits of every pixel of every step. The labels, and which pixels are the
most uncertain, follow from far less. Interpolated logits are convex combinations of the four
corners of a cell of the grid before, class by class; therefore

1. if the corners have the same best class, so has every pixel in the cell;
2. the gap between the two largest logits of such a pixel is at least the interpolation of the
   corners' gaps (a minimum of sums is at least the sum of the minima), and lower bounds of the gaps
   may stand in for them. A `BoundedMargin` follows from the gap.

So a step keeps one label and one lower bound per pixel. Logits are computed in *mixed* cells, whose
corners differ; the N-th smallest margin found there is a threshold, and only pixels of pure cells
whose bound lies below it have to be computed besides. Of all pixels computed, the N most uncertain
are the N most uncertain of the whole grid.

The pixels of the original picture follow from the last grid in the same way. Where most cells are
mixed, as in random logits, or a margin has no bound, all logits are computed after all, one class
or a few rows at a time. So they are on accelerators, where arithmetic is cheap, while each of many
small operations, and each result that is waited for, is not.

- `cells`: what lies between four neighbouring pixels.
- `frame`: the arithmetic of flat indices.
- `grid`: labels, and the logits of some pixels.
- `step`: one subdivision step; begin here to follow one pixel.
- `picture`: from the last grid to the picture.
- `planes`: the dense way, which is also that of accelerators.
- `rendering`: which of these, and in which order.
"""

from mmseg_pointrend.core.label_rendering.rendering import WAYS, render_labels

__all__ = ["WAYS", "render_labels"]
