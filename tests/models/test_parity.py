"""Parity with mmsegmentation 1.2.2's FPNHead + PointHead, weights copied."""

import copy

import pytest
import torch
from mmcv.ops import point_sample
from mmengine.config import ConfigDict
from mmseg.models.decode_heads import point_head
from mmseg.models.decode_heads.point_head import calculate_uncertainty
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_pointrend.core import TrainingPoints, logit_margin, select_training_points
from mmseg_pointrend.models import PointRendHead
from tests.models import builders
from tests.models.builders import STRIDES, samples_of

CHANNELS = [16, 16, 16, 16]
FPN = dict(
    in_channels=CHANNELS, in_index=[0, 1, 2, 3], feature_strides=STRIDES, channels=12,
    dropout_ratio=0, norm_cfg=dict(type="BN"),
)  # fmt: skip
TRAIN = dict(num_points=64, oversample_ratio=3, importance_sample_ratio=0.75)


def build_pair(num_classes: int, num_points: int = 128, seed: int = 0, num_fine: int = 1):
    """Build mmsegmentation's two heads and ours with the same random weights."""
    torch.manual_seed(seed)
    upstream = nn.ModuleList(
        [
            MODELS.build(dict(type="FPNHead", num_classes=num_classes, **FPN)),
            MODELS.build(
                dict(
                    type="PointHead", in_channels=CHANNELS[:num_fine],
                    in_index=list(range(num_fine)), channels=24, num_fcs=3,
                    coarse_pred_each_layer=True, dropout_ratio=-1, num_classes=num_classes,
                )
            ),
        ]
    )  # fmt: skip
    ours = PointRendHead(
        coarse_head=dict(type="FPNHead", **FPN),
        point_head=dict(
            in_channels=CHANNELS[:num_fine], in_index=list(range(num_fine)), channels=24
        ),
        num_classes=num_classes,
        training_points=TRAIN,
        subdivision=dict(steps=2, num_points=num_points),
    )
    for parameter in upstream.parameters():
        nn.init.normal_(parameter, std=0.3)
    missing, unexpected = ours.load_state_dict(upstream.state_dict(), strict=True)
    assert not missing and not unexpected
    test_cfg = ConfigDict(subdivision_steps=2, subdivision_num_points=num_points, scale_factor=2)
    return upstream.eval(), ours.eval(), test_cfg


def feature_maps(height: int, width: int, batch: int = 1) -> list[Tensor]:
    return builders.feature_maps(height, width, batch, channels=CHANNELS)


def upstream_predict(upstream: nn.ModuleList, inputs: list, test_cfg: dict, size: tuple) -> Tensor:
    coarse = upstream[0](inputs)
    return upstream[1].predict(inputs, coarse, [dict(img_shape=size)], test_cfg)


@pytest.mark.parametrize("num_fine", [1, 2])
def test_point_logits_are_equal(num_fine: int) -> None:
    upstream, ours, _ = build_pair(19, num_fine=num_fine)
    upstream.double(), ours.double()
    inputs = [x.double() for x in feature_maps(77, 131, batch=2)]
    points = torch.rand(2, 50, 2, dtype=torch.double)
    coarse = upstream[0](inputs)
    fine_feats = upstream[1]._get_fine_grained_point_feats(inputs[:num_fine], points)
    coarse_feats = upstream[1]._get_coarse_point_feats(coarse, points)
    expected = upstream[1](fine_feats, coarse_feats)
    features = ours.point_features(inputs, ours.coarse_prediction(inputs))
    got = ours.point_logits(features, points)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


def test_the_same_seed_selects_the_same_training_points() -> None:
    upstream, _, _ = build_pair(7)
    logits = torch.randn(3, 7, 20, 33)
    torch.manual_seed(5)
    expected = upstream[1].get_points_train(logits, calculate_uncertainty, ConfigDict(TRAIN))
    torch.manual_seed(5)
    points = select_training_points(logits, TrainingPoints(**TRAIN))
    torch.testing.assert_close(points, expected, rtol=0, atol=0)


def test_losses_and_gradients_are_equal_for_equal_points(monkeypatch) -> None:
    upstream, ours, _ = build_pair(5)
    upstream.double().train(), ours.double().train()
    size = (76, 132)
    features = [x.double() for x in feature_maps(*size, batch=2)]
    labels = torch.randint(0, 5, (2, *size))
    points = torch.rand(2, 64, 2).double()
    samples = samples_of(labels)

    theirs = [x.clone().requires_grad_() for x in features]
    # mmsegmentation runs its coarse head twice; the second run would move the BatchNorm statistics
    # but not the values of this step.
    expected = upstream[0].loss(theirs, samples, None)
    monkeypatch.setattr(upstream[1], "get_points_train", lambda *_, **__: points)
    # It samples labels in float32 always; the points are exact in both precisions.
    monkeypatch.setattr(
        point_head, "point_sample",
        lambda x, p, **kwargs: point_sample(x, p.to(x.dtype), **kwargs),
    )  # fmt: skip
    expected |= upstream[1].loss(theirs, upstream[0](theirs), samples, ConfigDict(TRAIN))
    (expected["loss_ce"] + expected["pointloss_ce"]).backward()

    mine = [x.clone().requires_grad_() for x in features]
    monkeypatch.setattr(ours, "training_points", lambda logits, margin: points)
    got = ours.loss(mine, samples)
    (got["coarse.loss_ce"] + got["point.loss_ce"]).backward()

    for key, upstream_key in [
        ("coarse.loss_ce", "loss_ce"), ("point.loss_ce", "pointloss_ce"),
        ("point.acc", "acc_point"),
    ]:  # fmt: skip
        torch.testing.assert_close(
            got[key].double(), expected[upstream_key].double().squeeze(),
            rtol=0, atol=1e-10 if "loss" in key else 1e-4,
        )  # fmt: skip
    gradients = {
        key.replace("coarse_head", "0").replace("point_head", "1"): parameter.grad
        for key, parameter in ours.named_parameters()
    }
    for key, parameter in upstream.named_parameters():
        torch.testing.assert_close(gradients[key], parameter.grad, rtol=0, atol=1e-10)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-10)


def test_batch_norm_statistics_are_updated_once_a_step() -> None:
    _, ours, _ = build_pair(5)
    ours.train()
    ours.loss(feature_maps(64, 64), samples_of(torch.randint(0, 5, (1, 64, 64))))
    counts = {m.num_batches_tracked.item() for m in ours.modules() if hasattr(m, "running_mean")}
    assert counts == {1}


@pytest.mark.parametrize(
    "size", [(512, 1024), (1024, 2048), (33, 47), (130, 201), (5, 260)], ids=str
)
def test_label_maps_are_equal(size: tuple[int, int]) -> None:
    num_points = 8196 if size[0] >= 512 else 200
    upstream, ours, test_cfg = build_pair(7, num_points)
    inputs = feature_maps(*size)
    with torch.no_grad():
        expected = upstream_predict(upstream, inputs, test_cfg, size)
        got = ours.predict(inputs, [dict(img_shape=size)])
        labels = ours.predict_labels(inputs, [{}], size)[0]
    assert got.shape == expected.shape == (1, 7, *size)
    # The centres of the points are computed by another formula and differ by a float32 rounding: a
    # label may differ only where the two best logits are equal up to float noise.
    for found in (got.argmax(1), labels[None]):
        different = found != expected.argmax(1)
        assert logit_margin(expected)[different].le(1e-3).all()
        assert different.float().mean() <= 1e-4


def test_upstream_checkpoint_keys_do_not_disturb_our_own() -> None:
    _, ours, _ = build_pair(5)
    state = copy.deepcopy(ours.state_dict())
    assert not any(key.startswith(("0.", "1.")) for key in state)
    ours.load_state_dict(state, strict=True)
