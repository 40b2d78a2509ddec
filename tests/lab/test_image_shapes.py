"""How large a config's images are, and how many channels they have."""

import pytest
from mmcv.transforms import LoadImageFromFile, Resize
from mmengine.config import Config
from mmseg.datasets.transforms import PackSegInputs

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.lab.counting.complexity import count_complexity
from mmseg_pointrend.lab.image_shapes import rendering_shape

POINTREND = shipped_config("pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py")


@pytest.mark.parametrize("wrapped", [False, True])
def test_resizing_by_steps_whose_types_are_classes_and_in_wrapped_data(wrapped: bool) -> None:
    steps = [LoadImageFromFile, Resize, PackSegInputs]
    pipeline = [dict(type=step) for step in steps]
    pipeline[1] |= dict(scale=(96, 40))
    data = dict(pipeline=pipeline)
    data = dict(datasets=[data, data]) if wrapped else data
    config = Config(dict(model={}, crop_size=(64, 64), test_dataloader=dict(dataset=data)))
    assert rendering_shape(config) == (40, 96)


def test_images_of_one_channel_are_counted() -> None:
    """The first convolution alone reads the image: a third of its weights and products."""
    color = count_complexity(POINTREND, (64, 64))
    grey = count_complexity(POINTREND, (64, 64), {"model.backbone.in_channels": 1})
    for one, other in ((color.training, grey.training), (color.rendering, grey.rendering)):
        assert one.shape == other.shape == (64, 64)
        fewer = one.total.parameters - other.total.parameters
        assert fewer > 0 and fewer % 2 == 0
        # The first convolution has stride 2.
        assert one.total.multiply_adds - other.total.multiply_adds == fewer * 32 * 32
