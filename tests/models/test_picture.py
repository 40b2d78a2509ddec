"""The picture as a fine-grained map: who reads it, what becomes of it, and what is refused."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_pointrend.core import pixel_centers
from mmseg_pointrend.models.feature_maps import FeatureMaps
from tests.models.builders import build_head, feature_maps, model_config, samples_of


@MODELS.register_module()
class LearnedMap(nn.Module):
    """A map of the picture at its own resolution that is learned."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.conv = nn.Conv2d(3, out_channels, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        return self.conv(picture).relu()


@MODELS.register_module()
class Unsaid(nn.Module):
    """Does not say its channels."""


@MODELS.register_module()
class Flat(LearnedMap):
    """Makes another number of channels than it says."""

    def forward(self, picture: Tensor) -> Tensor:
        return picture.mean(1, keepdim=True)


def build(picture: dict, **options: object) -> nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(model_config(picture=picture) | options))
    for parameter in model.decode_head.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


PARTS = pytest.mark.parametrize(
    ("picture", "channels"),
    [
        (dict(kernel_size=1), 3),
        (dict(kernel_size=3), 27),
        (dict(), 27),
        (dict(type="LearnedMap", out_channels=5), 5),
    ],
    ids=["pixel", "neighbourhood", "default", "learned"],
)


@PARTS
def test_the_point_head_reads_the_picture_under_its_points(picture: dict, channels: int) -> None:
    """At pixel centres, after the feature map's channels: the convolution's window, or the map."""
    model, images = build(picture).eval(), torch.randn(2, 3, 35, 47)
    head, seen = model.decode_head, []
    head.point_head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    centers = pixel_centers(torch.arange(35 * 47).expand(2, -1), (35, 47), torch.float32)
    with torch.no_grad():
        maps = model.extract_feat(images)
        head.point_logits(head.point_features(maps, head.coarse_prediction(maps)), centers)
        if "type" in picture:
            expected = head.picture(images).flatten(2)
        else:
            side = head.picture.kernel_size
            expected = F.unfold(images, side, padding=side // 2)
    assert head.point_head.in_channels == [8, channels]
    torch.testing.assert_close(seen[0][:, 8:], expected, rtol=0, atol=1e-4)


@PARTS
def test_training_reaches_all_weights(picture: dict, channels: int) -> None:
    model = build(picture).train()
    images, labels = torch.randn(2, 3, 64, 96), torch.randint(0, 4, (2, 64, 96))
    loss, _ = model.parse_losses(model(images, samples_of(labels), mode="loss"))
    loss.backward()
    head = model.decode_head
    assert all(weight.grad.abs().sum() > 0 for weight in head.point_head.parameters())
    assert all(weight.grad.abs().sum() > 0 for weight in head.picture.parameters())
    of_picture = head.point_head.fcs[0].conv.weight.grad[:, 8 : 8 + channels]
    assert (of_picture.abs().sum((0, 2)) > 0).all()


def test_without_it_a_model_has_the_weights_it_had() -> None:
    plain, reading = build_head(), build_head(picture=dict(kernel_size=3))
    assert plain.picture is None
    before, after = plain.state_dict(), reading.state_dict()
    assert before.keys() == after.keys()
    differ = [key for key in before if before[key].shape != after[key].shape]
    assert differ == ["point_head.fcs.0.conv.weight"]


def test_maps_are_a_plain_list_where_nobody_reads_the_picture() -> None:
    model = MODELS.build(model_config())
    assert not isinstance(model.extract_feat(torch.zeros(1, 3, 64, 64)), FeatureMaps)


def test_an_auxiliary_head_counts_feature_maps_from_the_end() -> None:
    """The picture is none of them."""
    auxiliary = dict(
        type="FCNHead", in_channels=8, in_index=-1, channels=8, num_convs=1, num_classes=4
    )
    model = build(dict(kernel_size=3), auxiliary_head=auxiliary).train()
    images, labels = torch.randn(2, 3, 64, 64), torch.randint(0, 4, (2, 64, 64))
    assert "aux.loss_ce" in model(images, samples_of(labels), mode="loss")


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (37, 131)], ids=str)
def test_test_time_augmentation_hands_every_view_on(size) -> None:
    """Mirrored with its picture, a view that is read bare predicts what the picture did."""
    model = build(dict(kernel_size=3)).eval()
    model.decode_head.subdivision = build_head(subdivision=dict(steps=1)).subdivision
    picture = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    meta = dict(img_shape=size, ori_shape=size, img_path="")
    views = [dict(meta, flip=False, flip_direction=None)] * 2
    augmented = MODELS.build(dict(type="PointRendTTA", module=model))
    samples = [[SegDataSample(metainfo=view)] for view in views]
    found = augmented.test_step(dict(inputs=[[picture], [picture]], data_samples=samples))[0]
    alone = model.test_step(
        dict(inputs=[picture], data_samples=[SegDataSample(metainfo=views[0])])
    )[0]
    assert (found.pred_sem_seg.data != alone.pred_sem_seg.data).float().mean() < 1e-3


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (dict(kernel_size=4), "kernel_size must be odd and >= 1, got 4"),
        (dict(in_channels=0), "in_channels must be >= 1, got 0"),
        (dict(type="Unsaid"), "picture Unsaid has no out_channels"),
    ],
)
def test_mistakes_are_named_when_the_head_is_built(picture: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_head(picture=picture)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (dict(in_channels=4), "picture.in_channels=4 does not fit: the picture has 3 channels"),
        (
            dict(type="Flat", out_channels=2),
            r"picture Flat must make a map \(N, 2, h, w\), got \(1, 1, 64, 64\)",
        ),
    ],
)
def test_a_picture_that_does_not_fit_is_named(picture: dict, message: str) -> None:
    model = build(picture).eval()
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(1, 3, 64, 64))


def test_feature_maps_without_their_picture_are_named() -> None:
    """As of mmsegmentation's own `EncoderDecoder`."""
    head = build_head(picture=dict(kernel_size=3))
    with pytest.raises(ValueError, match="which model.type='PointRend' hands on"):
        head(feature_maps(64, 64))
