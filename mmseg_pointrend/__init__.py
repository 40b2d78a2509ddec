"""PointRend, "Image Segmentation as Rendering", as an MMSegmentation-style toolbox.

Importing the package is cheap and needs no OpenMMLab package: `mmseg_pointrend.core` works where
only torch is installed. `mmseg_pointrend.models`, `.datasets`, `.evaluation` and `.engine` register
their classes with mmsegmentation when they are imported; the configs import them.
"""

from mmseg_pointrend.compat.mmcv_ext import install_stand_in

__version__ = "0.1.0"

install_stand_in()
