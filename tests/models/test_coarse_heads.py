"""Decode heads of mmsegmentation as coarse heads: what works, and what is said otherwise."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_pointrend.models.coarse_head import check_coarse_head
from tests.models.builders import build_head, feature_maps, samples_of

PYRAMID = dict(in_channels=[8] * 4, in_index=[0, 1, 2, 3], channels=8)
LAST = dict(in_channels=8, in_index=3, channels=8)
# Each with the stride of its logits.
HEADS = {
    "FCNHead": (dict(type="FCNHead", **LAST, num_convs=1), 32),
    "stride 16": (dict(type="FCNHead", **LAST | dict(in_index=2), num_convs=1), 16),
    "resize_concat": (
        dict(type="FCNHead", **PYRAMID, num_convs=1, input_transform="resize_concat"), 4,
    ),
    "ASPPHead": (dict(type="ASPPHead", **LAST, dilations=(1, 2)), 32),
    "DepthwiseSeparableASPPHead": (
        dict(
            type="DepthwiseSeparableASPPHead", **LAST, dilations=(1, 2), c1_in_channels=8,
            c1_channels=4,
        ),
        4,
    ),
    "PSPHead": (dict(type="PSPHead", **LAST, pool_scales=(1, 2)), 32),
    "UPerHead": (dict(type="UPerHead", **PYRAMID, pool_scales=(1, 2)), 4),
    "SegformerHead": (dict(type="SegformerHead", **PYRAMID), 4),
    "DAHead": (dict(type="DAHead", **LAST, pam_channels=4), 32),
    "EncHead": (dict(type="EncHead", **PYRAMID, num_codes=4), 32),
}  # fmt: skip
LABELS = torch.randint(0, 4, (2, 64, 96), generator=torch.Generator().manual_seed(0))


def losses_of(losses: dict) -> Tensor:
    return sum(value for name, value in losses.items() if "loss" in name)


def head_of(name: str, **changes: object) -> tuple[nn.Module, int]:
    config, stride = HEADS[name]
    return build_head(coarse_head=config | changes), stride


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("align_corners", [False, True])
def test_a_head_trains_and_renders(name: str, align_corners: bool) -> None:
    head, stride = head_of(name, align_corners=align_corners)
    inputs = [x.requires_grad_() for x in feature_maps(64, 96, batch=2)]
    losses_of(head.train().loss(inputs, samples_of(LABELS))).backward()
    for key, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    with torch.no_grad():
        assert head.eval()(inputs).shape == (2, 4, 4 * 64 // stride, 4 * 96 // stride)


@pytest.mark.parametrize("name", ["DAHead", "EncHead"])
def test_of_several_outputs_the_first_is_rendered_and_all_are_trained(name: str) -> None:
    head, _ = head_of(name)
    inputs = feature_maps(64, 96, batch=2)
    losses = head.train().loss(inputs, samples_of(LABELS))
    expected = {
        "DAHead": {f"coarse.{part}.loss_ce" for part in ("pam_cam", "pam", "cam")},
        "EncHead": {"coarse.loss_ce", "coarse.loss_se"},
    }
    assert expected[name] <= losses.keys()
    head.eval()
    assert torch.equal(head.coarse_prediction(inputs), head.coarse_head(inputs)[0])
    ignored = head.train().loss(inputs, samples_of(torch.full_like(LABELS, 255)))
    losses_of(ignored).backward()
    assert losses_of(ignored) == 0
    unused = {key for key, value in head.named_parameters() if value.grad is None}
    assert unused == set()


def test_align_corners_leaves_the_loss_where_points_are_read() -> None:
    """Without resizes inside the head, the two settings are the same head."""
    losses = []
    for align_corners in (False, True):
        head, _ = head_of("FCNHead", align_corners=align_corners, dropout_ratio=0)
        head.eval()
        inputs = feature_maps(64, 96, batch=2)
        losses.append(head.loss(inputs, samples_of(LABELS))["coarse.loss_ce"])
    logits = F.interpolate(head.coarse_prediction(inputs), (64, 96), mode="bilinear")
    expected = F.cross_entropy(logits, LABELS)
    torch.testing.assert_close(losses, [expected, expected])


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(name: str, dtype: torch.dtype) -> None:
    head, _ = head_of(name)
    inputs = feature_maps(64, 96, batch=2)
    expected = head.eval().coarse_prediction(inputs)
    head, inputs = head.to(dtype), [x.to(dtype) for x in inputs]
    with torch.no_grad():
        got = head.coarse_prediction(inputs)
        tolerance = 1e-4 if dtype == torch.float64 else 0.1 * float(expected.abs().max())
        torch.testing.assert_close(got.float(), expected, atol=tolerance, rtol=tolerance)
        assert head(inputs).dtype == dtype
    losses = head.train().loss(inputs, samples_of(LABELS))
    losses_of(losses).backward()
    assert head.point_head.fc_seg.weight.grad.isfinite().all()


# ---- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ASPPHead", "PSPHead", "UPerHead"])
def test_batch_normalisation_of_one_number_is_named(name: str) -> None:
    message = f"coarse_head {name} cannot normalise a 1x1 map of a single image; train with two"
    samples = samples_of(LABELS[:1])
    head, _ = head_of(name, norm_cfg=dict(type="BN"))
    with pytest.raises(ValueError, match=message):
        head.train().loss(feature_maps(64, 96), samples)
    head, _ = head_of(name, norm_cfg=dict(type="GN", num_groups=2))
    assert losses_of(head.train().loss(feature_maps(64, 96), samples)).isfinite()


@pytest.mark.parametrize(
    ("name", "in_channels", "message"),
    [
        ("FCNHead", 16, r"=16 does not fit: feature maps \[3\] have \[8\] channels"),
        ("UPerHead", [8, 8, 8, 16], r"=\[8, 8, 8, 16\] does not fit: .* have \[8, 8, 8, 8\]"),
        ("resize_concat", [8, 8, 8, 16], r"=40 in all does not fit: .* have \[8, 8, 8, 8\]"),
    ],
)
def test_channels_that_do_not_fit_are_named(name: str, in_channels, message: str) -> None:
    head, _ = head_of(name, in_channels=in_channels)
    with pytest.raises(ValueError, match=rf"coarse_head.in_channels{message}"):
        head(feature_maps(64, 96))


def test_other_errors_are_left_as_they_are(monkeypatch) -> None:
    head, _ = head_of("FCNHead")

    def fail(inputs: list) -> Tensor:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(head.coarse_head, "forward", fail)
    with pytest.raises(RuntimeError, match="^out of memory$"):
        head(feature_maps(64, 96))


def test_a_head_that_follows_another_is_refused() -> None:
    config = dict(type="OCRHead", **LAST, ocr_channels=8)
    with pytest.raises(ValueError, match="coarse_head OCRHead needs the prediction of another"):
        build_head(coarse_head=config)


def test_what_is_no_decode_head_is_refused() -> None:
    with pytest.raises(ValueError, match="coarse_head Conv2d has no in_index and no align_corners"):
        check_coarse_head(nn.Conv2d(1, 1, 1))


def test_feature_maps_that_are_not_tensors_are_named() -> None:
    """A vision transformer may hand on pairs of a map and a class token."""
    inputs = feature_maps(64, 96)
    inputs[0] = (inputs[0], torch.zeros(1, 8))
    head, _ = head_of("FCNHead")
    with pytest.raises(ValueError, match=r"point_head.in_index=\[0\]: feature map 0 is a tuple"):
        head(inputs)


def test_an_error_of_a_head_that_reads_pairs_is_left_as_it_is(monkeypatch) -> None:
    """Some heads take pairs of a map and a class token; then there are no channels to compare."""
    head, _ = head_of("FCNHead")
    inputs = feature_maps(64, 96)
    inputs[3] = (inputs[3], torch.zeros(1, 8))

    def fail(inputs: list) -> Tensor:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(head.coarse_head, "forward", fail)
    with pytest.raises(RuntimeError, match="^out of memory$"):
        head(inputs)
