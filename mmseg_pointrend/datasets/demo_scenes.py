"""The generated street scenes as a dataset of MMSegmentation."""

from __future__ import annotations

from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from mmseg_pointrend.datasets.scenes import CLASSES, PALETTE


@DATASETS.register_module()
class DemoScenesDataset(CityscapesDataset):
    """Street scenes written by `write_scenes`, in the layout and colours of Cityscapes.

    The arguments are those of mmseg's `CityscapesDataset`, whose file name endings are kept:
    `_leftImg8bit.png` and `_gtFine_labelTrainIds.png`. Pixels labelled 255 are ignored.
    """

    METAINFO = dict(classes=CLASSES, palette=[list(colour) for colour in PALETTE])
