"""Losses on maps with ignored pixels: their values are those of the known pixels alone."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from mmseg_pointrend.models.known_pixels import KnownPixelsLoss
from tests.models.builders import build_head, feature_maps, fpn_head, model_config, samples_of

WEIGHTS = [1.0, 2.0, 5.0, 0.5]
WEIGHTED = dict(type="CrossEntropyLoss", class_weight=WEIGHTS)
LOSSES = [
    WEIGHTED,
    WEIGHTED | dict(avg_non_ignore=True),
    WEIGHTED | dict(reduction="sum"),
    dict(type="DiceLoss"),
    dict(type="DiceLoss", use_sigmoid=False, naive_dice=True, reduction="sum"),
    dict(type="LovaszLoss", reduction="none"),
    dict(type="LovaszLoss", per_image=True, class_weight=WEIGHTS),
    dict(type="TverskyLoss", class_weight=WEIGHTS),
]


def example(images: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(images)
    logits = torch.randn(images, 4, 9, 7, generator=generator, dtype=torch.double)
    return logits, torch.randint(0, 4, (images, 9, 7), generator=generator)


@pytest.mark.parametrize("ignore_index", [255, 7])
@pytest.mark.parametrize("config", LOSSES, ids=lambda loss: "-".join(map(str, loss.values())))
def test_ignored_pixels_count_for_nothing(config: dict, ignore_index: int) -> None:
    """The value is mmsegmentation's for the images with the ignored part cut off."""
    theirs = MODELS.build(config)
    ours = KnownPixelsLoss(theirs)
    logits, labels = example(3)
    if config["type"] == "LovaszLoss":
        # mmsegmentation's does not run in double precision.
        logits = logits.float()
    # No ignored pixel: mmsegmentation's own value.
    assert torch.equal(
        ours(logits, labels, ignore_index=ignore_index),
        theirs(logits, labels, ignore_index=ignore_index),
    )
    void = labels.clone()
    void[:, :, 4:] = ignore_index
    # The third image is ignored wholly.
    void[2] = ignore_index
    logits.requires_grad_()
    got = ours(logits, void, ignore_index=ignore_index)
    cut, truth = logits[:2, :, :, :4].contiguous(), labels[:2, :, :4].contiguous()
    expected = theirs(cut, truth, ignore_index=-100)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)
    (gradient,) = torch.autograd.grad(got, logits)
    assert gradient[:2, :, :, :4].abs().sum() > 0
    assert not gradient[2].any() and not gradient[..., 4:].any()


@pytest.mark.parametrize("average", [False, True])
def test_weighted_cross_entropy_is_torchs(average: bool) -> None:
    loss = KnownPixelsLoss(MODELS.build(WEIGHTED | dict(avg_non_ignore=average)))
    logits, labels = example()
    labels[torch.rand(labels.shape, generator=torch.Generator().manual_seed(0)) < 0.4] = 255
    expected = F.cross_entropy(logits, labels, torch.tensor(WEIGHTS).double(), ignore_index=255)
    got = loss(logits, labels, ignore_index=255)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)


def test_one_logit_with_a_weight_is_torchs() -> None:
    config = dict(type="CrossEntropyLoss", use_sigmoid=True, class_weight=[5.0])
    logits, labels = example()
    logits, labels = logits[:, :1], labels % 2
    labels[:, :4] = 255
    loss = KnownPixelsLoss(MODELS.build(config | dict(avg_non_ignore=True)))
    expected = F.binary_cross_entropy_with_logits(
        logits[:, 0, 4:], labels[:, 4:].double(), pos_weight=torch.tensor([5.0]).double()
    )
    torch.testing.assert_close(loss(logits, labels, ignore_index=255).double(), expected)
    head = build_head(2, out_channels=1, loss_point=config)
    got = head.point_losses(logits.flatten(2), labels.flatten(1))["loss_ce"]
    torch.testing.assert_close(got.double(), expected)


def test_dice_by_its_formula() -> None:
    logits, labels = example()
    labels[torch.rand(labels.shape, generator=torch.Generator().manual_seed(0)) < 0.4] = 255
    values = []
    for image, truth in zip(logits.softmax(1), labels, strict=True):
        known = truth != 255
        p, t = image[:, known], F.one_hot(truth[known], 4).t().double()
        values.append(1 - 2 * (p * t).sum() / ((p * p).sum() + (t * t).sum() + 2e-3))
    loss = KnownPixelsLoss(MODELS.build(dict(type="DiceLoss", use_sigmoid=False)))
    got = loss(logits, labels, ignore_index=255)
    torch.testing.assert_close(got, sum(values) / 2, atol=1e-6, rtol=0)


def test_class_weights_and_void_in_all_three_places() -> None:
    torch.manual_seed(0)
    auxiliary = dict(
        type="FCNHead", in_channels=8, in_index=2, channels=8, num_convs=1, num_classes=4,
        dropout_ratio=0, loss_decode=[WEIGHTED, dict(type="DiceLoss")],
    )  # fmt: skip
    config = model_config(coarse_head=fpn_head(loss_decode=WEIGHTED), loss_point=WEIGHTED)
    model = copy.deepcopy(MODELS.build(ConfigDict(config, auxiliary_head=auxiliary))).double()
    inputs = [x.double() for x in feature_maps(64, 64, 2)]
    labels = torch.randint(0, 4, (2, 64, 64))
    labels[:, 20:] = 255
    weights = torch.tensor(WEIGHTS).double()
    found = model.decode_head.eval().loss(inputs, samples_of(labels))
    found |= model.auxiliary_head.eval().loss(inputs, samples_of(labels), dict())
    for key, head in (
        ("coarse.loss_ce", model.decode_head.coarse_head),
        ("loss_ce", model.auxiliary_head),
    ):
        logits = F.interpolate(head(inputs), (64, 64), mode="bilinear")
        expected = F.cross_entropy(logits, labels, weights, ignore_index=255)
        torch.testing.assert_close(found[key], expected, atol=1e-6, rtol=1e-6)
    points = torch.randn(2, 4, 30).double()
    known = torch.randint(0, 4, (2, 30))
    known[0, 5:] = 255
    got = model.decode_head.point_losses(points, known)["loss_ce"]
    expected = F.cross_entropy(points, known, weights, ignore_index=255)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)


def test_checkpoints_and_pixel_samplers_see_no_difference() -> None:
    head = build_head(coarse_head=fpn_head(loss_decode=WEIGHTED))
    assert not any("loss" in key for key in head.state_dict())
    sampler = dict(type="OHEMPixelSampler", min_kept=50)
    for thresh in (None, 0.7):
        coarse = fpn_head(loss_decode=WEIGHTED, sampler=dict(sampler, thresh=thresh))
        labels = torch.randint(0, 4, (2, 64, 64))
        labels[:, 20:] = 255
        losses = build_head(coarse_head=coarse).loss(feature_maps(64, 64, 2), samples_of(labels))
        assert losses["coarse.loss_ce"] > 0
