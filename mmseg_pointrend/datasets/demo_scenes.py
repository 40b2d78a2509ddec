"""The generated street scenes as a dataset of MMSegmentation."""

from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

CLASSES = (
    "road",
    "sidewalk",
    "building",
    "fence",
    "pole",
    "vegetation",
    "sky",
    "person",
    "car",
)
# The colours that Cityscapes gives to these classes.
PALETTE = (
    (128, 64, 128),
    (244, 35, 232),
    (70, 70, 70),
    (190, 153, 153),
    (153, 153, 153),
    (107, 142, 35),
    (70, 130, 180),
    (220, 20, 60),
    (0, 0, 142),
)


@DATASETS.register_module()
class DemoScenesDataset(CityscapesDataset):
    """Generated street scenes, busy ones, in the layout and colours of Cityscapes.

    The arguments are those of mmseg's `CityscapesDataset`, whose file name endings are kept:
    `_leftImg8bit.png` and `_gtFine_labelTrainIds.png`. Pixels labelled 255 are ignored.
    """

    METAINFO = dict(classes=CLASSES, palette=[list(color) for color in PALETTE])


@DATASETS.register_module()
class CalmScenesDataset(DemoScenesDataset):
    """The same of calm streets, with fewer and larger things; what draws them goes by the name."""
