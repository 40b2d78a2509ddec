"""Point heads that learn beside a model's own: they learn, and the model does not notice."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_pointrend.apis.configs import shipped_config
from mmseg_pointrend.lab.picture_forms import (
    FORMS,
    build_heads,
    compare_picture_forms,
    train_beside,
)
from mmseg_pointrend.lab.scenes import write_scenes
from tests.models.builders import model_config, samples_of

SCENES = shipped_config("pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py")


def gradients(model: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, 67, 96, generator=generator)
    labels = torch.randint(0, 4, (2, 67, 96), generator=generator)
    torch.manual_seed(2)  # of the training points
    model.train().parse_losses(model(images, samples_of(labels), mode="loss"))[0].backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


def test_the_model_does_not_notice_the_heads_beside_it() -> None:
    models, config = [], model_config()
    for _ in range(2):
        torch.manual_seed(0)
        models.append(MODELS.build(config))
        models[-1].init_weights()
    heads = build_heads(Config(dict(model=config)), seed=0)
    train_beside(models[1], heads)
    alone, beside = map(gradients, models)
    for name, gradient in alone.items():
        assert torch.equal(gradient, beside[name]), name
    for form, head in zip(FORMS, heads, strict=True):
        assert all(weight.grad.abs().sum() > 0 for weight in head.point_head.parameters()), form
        learned = [] if head.picture is None else list(head.picture.parameters())
        assert all(weight.grad.abs().sum() > 0 for weight in learned), form
        assert all(weight.grad is None for weight in head.coarse_head.parameters()), form


def test_heads_of_equal_shape_start_equal() -> None:
    """`none` is the model's own point head a second time."""
    torch.manual_seed(0)
    config = model_config()
    heads = build_heads(Config(dict(model=config)), seed=3)
    again = build_heads(Config(dict(model=config)), seed=3)
    for one, other in zip(heads.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
def test_every_form_is_tested(tmp_path: Path) -> None:
    write_scenes(tmp_path / "data", 4, 2, size=(128, 256))
    splits = ("train", "val", "test")
    data = {f"{s}_dataloader.dataset.data_root": str(tmp_path / "data") for s in splits}
    rows = compare_picture_forms(SCENES, 0, tmp_path / "run", 2, data)
    assert [row.variant for row in rows] == list(FORMS)
    assert all(0 <= row.metrics["mIoU"] <= 100 for row in rows)
    assert len({row.metrics["aAcc"] for row in rows}) > 1


def test_a_model_that_reads_the_picture_already(tmp_path: Path) -> None:
    options = {"model.decode_head.picture": ConfigDict(kernel_size=3)}
    with pytest.raises(ValueError, match=r"without decode_head\.picture"):
        compare_picture_forms(SCENES, 0, tmp_path, options=options)
