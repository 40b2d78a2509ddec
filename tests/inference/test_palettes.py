"""The classes' colours: the data set's, or those that mmsegmentation makes up."""

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.datasets import BaseSegDataset

from mmseg_pointrend.apis.configs import prepare_config, shipped_config
from mmseg_pointrend.datasets.demo_scenes import PALETTE
from mmseg_pointrend.inference.palettes import complete_palette, palette_of

DEMO = shipped_config("pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py")


def palette_of_data(num_classes: int, **dataset: object) -> list[list[int]]:
    init_default_scope("mmseg")
    return palette_of(Config(dict(test_dataloader=dict(dataset=dataset))), num_classes)


def test_a_data_sets_colours() -> None:
    config = prepare_config(DEMO)
    assert palette_of(config, 9) == [list(color) for color in PALETTE]
    inner = config.test_dataloader.dataset
    config.test_dataloader.dataset = dict(type="ConcatDataset", datasets=[inner, inner])
    assert palette_of(config, 9) == [list(color) for color in PALETTE]
    own = dict(classes=["a", "b"], palette=[[1, 2, 3], [4, 5, 6]])
    assert palette_of_data(2, type=BaseSegDataset, metainfo=own) == [[1, 2, 3], [4, 5, 6]]


def test_colours_that_are_missing_are_made_up() -> None:
    classes = dict(classes=["a", "b", "c"])
    made_up = BaseSegDataset(metainfo=classes, lazy_init=True).metainfo["palette"]
    assert palette_of_data(3, type="BaseSegDataset", metainfo=classes) == made_up
    assert palette_of_data(3, type="NoSuchDataset") == made_up
    assert palette_of(Config({}), 3) == made_up
    assert complete_palette([[1, 2, 3]], 3) == [[1, 2, 3], *made_up[1:]]
    assert complete_palette([[1, 2, 3], [4, 5, 6]], 1) == [[1, 2, 3]]
