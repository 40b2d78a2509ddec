"""The cascade decode head: training, prediction, options, and mistakes."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmseg_pointrend.core import (
    TRAINING_STRATEGIES,
    Subdivision,
    TrainingPoints,
    decide,
    label_sample,
    point_sample,
    probability_margin,
    render,
    select_training_points,
)
from tests.models.builders import build_head, feature_maps, fpn_head, samples_of

BINARY = dict(num_classes=2, out_channels=1)


def total(losses: dict) -> torch.Tensor:
    return sum(value for name, value in losses.items() if "loss" in name)


# ---- training ------------------------------------------------------------------------------------


def test_the_coarse_head_runs_once_per_training_step(monkeypatch) -> None:
    head = build_head()
    calls = []
    forward = head.coarse_head.forward
    monkeypatch.setattr(head.coarse_head, "forward", lambda x: calls.append(1) or forward(x))
    head.loss(feature_maps(64, 96, 2), samples_of(torch.randint(0, 4, (2, 64, 96))))
    assert calls == [1]


def test_point_losses_are_those_of_the_points_alone() -> None:
    """The mean over the known points, whatever share of the points is ignored."""
    head = build_head()
    logits = torch.randn(2, 4, 30, dtype=torch.double)
    labels = torch.randint(0, 4, (2, 30))
    labels[0, 3:] = 255
    losses = head.point_losses(logits, labels)
    known = labels != 255
    expected = F.cross_entropy(logits.transpose(1, 2)[known], labels[known])
    torch.testing.assert_close(losses["loss_ce"], expected)
    accuracy = (logits.argmax(1) == labels)[known].double().mean() * 100
    torch.testing.assert_close(losses["acc"].double(), accuracy, atol=1e-4, rtol=0)


@pytest.mark.parametrize("binary", [False, True])
def test_all_pixels_ignored_is_zero_loss_with_a_graph(binary: bool) -> None:
    head = build_head(**(BINARY if binary else {})).train()
    losses = head.loss(feature_maps(64, 64), samples_of(torch.full((1, 64, 64), 255)))
    total(losses).backward()
    assert total(losses) == 0
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad == 0).all(), name


def test_all_pixels_ignored_is_zero_even_for_infinite_logits() -> None:
    losses = build_head().point_losses(torch.full((1, 4, 3), torch.inf), torch.full((1, 3), 255))
    assert losses["loss_ce"] == 0


@pytest.mark.parametrize(
    "loss",
    [
        dict(type="CrossEntropyLoss", class_weight=[1.0, 2.0, 0.5, 1.0]),
        dict(type="CrossEntropyLoss", avg_non_ignore=True),
        dict(type="CrossEntropyLoss", use_sigmoid=True),
        dict(type="DiceLoss"),
        dict(type="LovaszLoss", reduction="none"),
        dict(type="TverskyLoss"),
    ],
    ids=lambda loss: "-".join(map(str, loss.values()))[:40],
)
@pytest.mark.parametrize("ignored", ["none", "some", "all"])
def test_pixel_losses_work_on_points(loss: dict, ignored: str) -> None:
    head = build_head(loss_point=loss)
    labels = torch.randint(0, 4, (2, 64, 64))
    if ignored != "none":
        labels[:, : 40 if ignored == "some" else 64] = 255
    inputs = [x.requires_grad_() for x in feature_maps(64, 64, 2)]
    losses = head.loss(inputs, samples_of(labels))
    value = sum(v for k, v in losses.items() if k.startswith("point.loss"))
    value.backward()
    assert value.isfinite() and (value > 0) == (ignored != "all")
    assert head.point_head.fc_seg.weight.grad.isfinite().all()


def test_several_losses_of_one_name_add_up() -> None:
    one = build_head(loss_point=dict(type="CrossEntropyLoss"))
    two = build_head(loss_point=[dict(type="CrossEntropyLoss"), dict(type="CrossEntropyLoss")])
    both = build_head(loss_point=[dict(type="CrossEntropyLoss"), dict(type="DiceLoss")])
    logits, labels = torch.randn(1, 4, 9), torch.randint(0, 4, (1, 9))
    single = one.point_losses(logits, labels)["loss_ce"]
    torch.testing.assert_close(two.point_losses(logits, labels)["loss_ce"], 2 * single)
    assert {"loss_ce", "loss_dice"} <= both.point_losses(logits, labels).keys()


def test_the_point_loss_reaches_backbone_and_coarse_head() -> None:
    head = build_head()
    inputs = [x.requires_grad_() for x in feature_maps(64, 64)]
    losses = head.loss(inputs, samples_of(torch.randint(0, 4, (1, 64, 64))))
    losses["point.loss_ce"].backward()
    assert inputs[0].grad.abs().sum() > 0
    assert head.coarse_head.conv_seg.weight.grad.abs().sum() > 0


def test_labels_at_the_points_are_those_under_them(monkeypatch) -> None:
    head, seen = build_head(), {}
    monkeypatch.setattr(
        head, "point_losses", lambda logits, labels: seen.update(labels=labels) or {}
    )
    labels = torch.randint(0, 4, (1, 61, 47))
    points = torch.rand(1, 32, 2)
    monkeypatch.setattr(head, "training_points", lambda logits, margin: points)
    head.loss(feature_maps(61, 47), samples_of(labels))
    assert torch.equal(seen["labels"], label_sample(labels, points))


def test_training_in_bfloat16_autocast() -> None:
    head = build_head()
    with torch.autocast("cpu", torch.bfloat16):
        losses = head.loss(feature_maps(64, 64), samples_of(torch.randint(0, 4, (1, 64, 64))))
    total(losses).backward()
    assert total(losses).isfinite()
    assert all(p.grad.isfinite().all() for p in head.parameters())


# ---- prediction ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 96), (35, 39), (67, 71), (1, 1), (5, 200)], ids=str)
@pytest.mark.parametrize("options", [{}, BINARY], ids=["multi-class", "binary"])
def test_any_size_and_batch(size, options) -> None:
    head = build_head(**options).eval()
    inputs = feature_maps(*size, batch=3)
    logits = head.predict(inputs, [dict(img_shape=size)] * 3)
    assert logits.shape == (3, head.out_channels, *size)
    for n in range(3):
        alone = head.predict([x[n : n + 1] for x in inputs], [dict(img_shape=size)])
        torch.testing.assert_close(logits[n : n + 1], alone, atol=1e-4, rtol=1e-4)


def test_no_steps_give_the_coarse_prediction() -> None:
    head = build_head(subdivision=dict(steps=0, num_points=1)).eval()
    inputs = feature_maps(64, 64)
    assert torch.equal(head(inputs), head.coarse_head(inputs))


def test_rendering_and_training_build_the_same_features() -> None:
    """Every pixel predicted anew = the point head applied at every pixel centre."""
    head = build_head(subdivision=dict(steps=1, num_points=10**6)).eval()
    inputs = feature_maps(32, 32)
    coarse = head.coarse_prediction(inputs)
    grid = (torch.arange(16) + 0.5) / 16
    points = torch.stack(torch.meshgrid(grid, grid, indexing="xy"), -1).view(1, -1, 2)
    features = head.point_features(inputs, coarse)
    expected = head.point_logits(features, points).view(1, 4, 16, 16)
    torch.testing.assert_close(head(inputs), expected)


def test_padded_images_are_predicted_with_their_padding() -> None:
    head = build_head().eval()
    logits = head.predict(feature_maps(64, 96), [dict(img_shape=(60, 90), pad_shape=(64, 96))])
    assert logits.shape[2:] == (64, 96)


def test_uncertainty_is_configurable() -> None:
    heads = [build_head(uncertainty=kind).eval() for kind in ("logit", "probability")]
    inputs = feature_maps(64, 64)
    maps = [head(inputs) for head in heads]
    assert not torch.equal(*maps)
    coarse = heads[1].coarse_prediction(inputs)
    features = heads[1].point_features(inputs, coarse)
    expected = render(
        coarse,
        lambda points: heads[1].point_logits(features, points),
        Subdivision(2, 64, margin=probability_margin),
    )
    torch.testing.assert_close(maps[1], expected)


def test_render_steps_end_where_forward_does() -> None:
    head = build_head().eval()
    inputs = feature_maps(64, 64)
    coarse, steps = head.render_steps(inputs)
    steps = list(steps)
    assert [step.logits.shape[2] // coarse.shape[2] for step in steps] == [2, 4]
    assert torch.equal(steps[-1].logits, head(inputs))


# ---- options -------------------------------------------------------------------------------------


def test_two_feature_maps_are_concatenated_in_order() -> None:
    head = build_head(point_head=dict(in_channels=[8, 8], in_index=[0, 2], channels=12)).eval()
    inputs, seen = feature_maps(64, 64), {}
    head.point_head.register_forward_pre_hook(lambda _, args: seen.update(fine=args[0]))
    points = torch.tensor([[[0.5 / 4, 1.5 / 4]]])  # the centre of a pixel of the stride-16 map
    head.point_logits(head.point_features(inputs, head.coarse_prediction(inputs)), points)
    torch.testing.assert_close(seen["fine"][0, 8:, 0], inputs[2][0, :, 1, 0])


@pytest.mark.parametrize("each_layer", [True, False])
@pytest.mark.parametrize("num_fcs", [0, 1, 3])
def test_point_head_shapes(each_layer: bool, num_fcs: int) -> None:
    head = build_head(
        point_head=dict(
            in_channels=8, in_index=0, channels=12, num_fcs=num_fcs,
            coarse_pred_each_layer=each_layer, act_cfg=dict(type="ELU"), dropout_ratio=0.5,
            norm_cfg=dict(type="BN1d"),
        )
    ).point_head  # fmt: skip
    widths = [fc.conv.in_channels for fc in head.fcs] + [head.fc_seg.in_channels]
    again = 4 if each_layer else 0
    assert widths == [12] + [12 + again] * num_fcs
    assert all(isinstance(fc.activate, torch.nn.ELU) for fc in head.fcs)
    assert head(torch.randn(2, 8, 5), torch.randn(2, 4, 5)).shape == (2, 4, 5)


def test_dropout_acts_in_training_only() -> None:
    head = build_head(point_head=dict(in_channels=8, channels=12, dropout_ratio=0.5)).point_head
    fine, coarse = torch.randn(1, 8, 50), torch.randn(1, 4, 50)
    assert not torch.equal(head.train()(fine, coarse), head(fine, coarse))
    assert torch.equal(head.eval()(fine, coarse), head(fine, coarse))


def test_binary_decides_at_the_threshold() -> None:
    head = build_head(**BINARY, threshold=0.7)
    logits = torch.tensor([[[0.69, 0.71]]]).logit()
    assert decide(logits, head.threshold).tolist() == [[0, 1]]
    assert head.point_losses(logits, torch.tensor([[0, 1]]))["acc"] == 100
    assert build_head(**BINARY).threshold == 0.5
    assert head.coarse_head.threshold == 0.7


def test_binary_learns() -> None:
    torch.manual_seed(0)
    head = build_head(**BINARY).train()
    inputs = feature_maps(64, 64)
    labels = (F.interpolate(inputs[0][:, :1], size=(64, 64), mode="bilinear") > 0)[:, 0].long()
    optimizer = torch.optim.Adam(head.parameters(), 0.02)
    values = []
    for _ in range(60):
        losses = head.loss(inputs, samples_of(labels))
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        values.append(losses["point.loss_ce"].item())
    assert values[-1] < 0.5 * values[0]
    assert losses["point.acc"] > 80


STRIDE_16 = dict(type="FCNHead", in_channels=8, in_index=2, channels=8, num_convs=1)


def test_coarse_logits_are_read_at_the_size_of_the_fine_map() -> None:
    """A coarse map of 1x2 pixels, 4 and 0, has 4, 3, 1, 0 at twice the width.

    At x = 1/8, the first finer pixel's centre, the coarse map itself gives 0.75 * 4.
    """
    coarse, inputs, seen = torch.tensor([[[[4.0, 0.0]]]]), feature_maps(8, 16), []
    points = torch.tensor([[[1 / 8, 0.5], [0.5, 0.5], [5 / 8, 0.5]]])
    for at_fine in (True, False):
        head = build_head(**BINARY, coarse_at_fine=at_fine)
        head.point_head.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
        head.point_logits(head.point_features(inputs, coarse), points)
    assert inputs[0].shape[2:] == (2, 4)
    # Both finer rows hold the same, and y = 0.5 lies between them.
    torch.testing.assert_close(seen[0], torch.tensor([[[4.0, 2.0, 1.0]]]))
    torch.testing.assert_close(seen[1], torch.tensor([[[3.0, 2.0, 1.0]]]))


def test_maps_of_equal_size_make_no_difference() -> None:
    plain, at_fine = (build_head(coarse_at_fine=value).eval() for value in (False, True))
    inputs = feature_maps(67, 131)
    assert torch.equal(plain(inputs), at_fine(inputs))


@pytest.mark.parametrize("in_index", [[0, 1], [1, 0]], ids=str)
def test_of_several_fine_maps_the_one_with_most_pixels_counts(in_index: list[int]) -> None:
    head = build_head(
        coarse_head=STRIDE_16, coarse_at_fine=True,
        point_head=dict(in_channels=[8, 8], in_index=in_index, channels=12),
    ).eval()  # fmt: skip
    inputs, seen = feature_maps(67, 131), {}
    head.point_head.register_forward_pre_hook(lambda _, args: seen.update(coarse=args[1]))
    coarse, points = head.coarse_prediction(inputs), torch.rand(1, 20, 2)
    head.point_logits(head.point_features(inputs, coarse), points)
    assert coarse.shape[2:] == (5, 9)
    finer = F.interpolate(coarse, (17, 33), mode="bilinear", align_corners=False)
    torch.testing.assert_close(seen["coarse"], point_sample(finer, points))


def test_coarse_logits_are_resized_once_for_all_steps(monkeypatch) -> None:
    head = build_head(
        coarse_head=STRIDE_16, coarse_at_fine=True, subdivision=dict(steps=4, num_points=50)
    ).eval()
    inputs, seen, resized = feature_maps(67, 131), [], []
    head.point_head.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    point_features = head.point_features
    monkeypatch.setattr(
        head, "point_features", lambda *args: resized.append(1) or point_features(*args)
    )
    coarse, steps = head.render_steps(inputs)
    finer = F.interpolate(coarse, (17, 33), mode="bilinear", align_corners=False)
    for step in steps:
        torch.testing.assert_close(seen[-1], point_sample(finer, step.points))
    assert len(seen) == 4 and len(resized) == 1


def test_training_with_coarse_logits_at_the_fine_maps_size() -> None:
    head = build_head(coarse_head=STRIDE_16, coarse_at_fine=True)
    losses = head.loss(feature_maps(67, 131), samples_of(torch.randint(0, 4, (1, 67, 131))))
    losses["point.loss_ce"].backward()
    assert head.coarse_head.conv_seg.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("strategy", TRAINING_STRATEGIES)
def test_training_points_by_the_name_of_a_strategy(strategy: str) -> None:
    head, seen = build_head(training_points=dict(num_points=37, strategy=strategy)), {}
    head.point_head.register_forward_pre_hook(lambda _, args: seen.update(coarse=args[1]))
    inputs = feature_maps(61, 47, 2)
    torch.manual_seed(3)
    losses = head.eval().loss(inputs, samples_of(torch.randint(0, 4, (2, 61, 47))))
    total(losses).backward()
    torch.manual_seed(3)
    torch.randint(0, 4, (2, 61, 47))
    coarse = head.coarse_prediction(inputs)
    points = select_training_points(coarse, TrainingPoints(37, strategy))
    torch.testing.assert_close(seen["coarse"], point_sample(coarse, points))


# ---- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(coarse_head=fpn_head(num_classes=7)), "coarse_head.num_classes=7 contradicts .*=4"),
        (
            dict(point_head=dict(in_channels=8, num_classes=5)),
            "point_head.num_classes=5 contradicts .*=4",
        ),
        (dict(out_channels=3), "out_channels must be num_classes=4, or 1 .*, got 3"),
        (dict(out_channels=1), "out_channels=1 tells two classes apart, but num_classes=4"),
        (dict(**BINARY, threshold=1.5), r"threshold must lie in \(0, 1\), got 1.5"),
        (
            dict(**BINARY, loss_point=dict(type="CrossEntropyLoss")),
            "loss_point=CrossEntropyLoss without use_sigmoid=True",
        ),
        (
            dict(**BINARY, coarse_head=fpn_head(loss_decode=dict(type="CrossEntropyLoss"))),
            "coarse_head.loss_decode=CrossEntropyLoss without use_sigmoid=True",
        ),
        (dict(training_points=dict(num_points=0)), r"num_points \(N\) .* got 0"),
        (
            dict(training_points=dict(num_points=9, oversample_ratio=0.2)),
            r"oversample_ratio \(k\) must be >= 1, got 0.2",
        ),
        (
            dict(training_points=dict(num_points=9, importance_sample_ratio=-1)),
            r"importance_sample_ratio \(beta\) must lie in \[0, 1\], got -1",
        ),
        (
            dict(training_points=dict(num_points=9, strategy="biased")),
            "strategy must be one of .*'mildly-biased'.*, got 'biased'",
        ),
        (
            dict(training_points=dict(num_points=9, strategy="uniform", oversample_ratio=3)),
            "oversample_ratio=3 contradicts strategy='uniform', which means 1.0",
        ),
        (dict(subdivision=dict(steps=2, num_points=0)), r"num_points \(N\) .* got 0"),
        (dict(uncertainty="entropy"), "uncertainty must be one of .*'logit'.*, got 'entropy'"),
        (
            dict(point_head=dict(in_channels=[8, 8], in_index=[0])),
            "must name as many feature maps",
        ),
        (dict(point_head=dict(in_channels=8, num_fcs=-1)), "num_fcs must be >= 0, got -1"),
        (dict(point_head=dict(in_channels=8, channels=0)), "channels must be >= 1, got 0"),
        (dict(point_head=dict(in_channels=8, dropout_ratio=1.0)), r"must lie in \[0, 1\), got 1.0"),
    ],
)
def test_contradicting_settings_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_head(**{"num_classes": 4, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            dict(point_head=dict(in_channels=8, in_index=4)),
            r"point_head.in_index=\[4\] is out of range: there are 4 feature maps.*\[0, 3\]",
        ),
        (
            dict(coarse_head=fpn_head(in_index=[0, 1, 2, 9])),
            r"coarse_head.in_index=\[0, 1, 2, 9\] is out of range",
        ),
        (
            dict(point_head=dict(in_channels=16)),
            r"point_head.in_channels=\[16\] does not fit: feature map 0 has 8 channels",
        ),
    ],
)
def test_feature_maps_that_do_not_fit_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_head(**changes)(feature_maps(64, 64))


def test_a_coarse_head_without_logits_is_refused(monkeypatch) -> None:
    head = build_head()
    monkeypatch.setattr(head.coarse_head, "forward", lambda x: (x[0], x[1]))
    with pytest.raises(
        ValueError,
        match=r"coarse_head FPNHead must give logits \(N, 4, h, w\), .*, got \(1, 8, 16, 16\)",
    ):
        head(feature_maps(64, 64))


def test_it_is_registered_once_under_a_name_of_its_own() -> None:
    assert MODELS.get("PointRendHead").__module__ == "mmseg_pointrend.models.pointrend_head"
    assert MODELS.get("PointHead").__module__.startswith("mmseg.")
