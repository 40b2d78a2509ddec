"""What is not finite is named by the stage that made it; half precision trains and predicts."""

import math
from collections.abc import Callable
from unittest import mock

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_pointrend.core import points as core_points
from mmseg_pointrend.models.finite import FinitePrediction, NotFiniteError, is_finite
from tests.models.builders import model_config


def build(**head: object) -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build(model_config(**head))


def sample(*size: int, path: str = "a.png") -> SegDataSample:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 2, (1, *size), generator=generator)
    meta = dict(img_path=path, ori_shape=size)
    return SegDataSample(metainfo=meta, gt_sem_seg=PixelData(data=labels))


def images(batch: int, *size: int) -> torch.Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("values", "finite"),
    [
        ([1.0, -1e30], True),
        ([3e38, 3e38], True),  # the sum is infinite
        ([3e38, 3e38, -math.inf], False),
        ([math.inf, -math.inf], False),
        ([0.0, math.nan], False),
        ([], True),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_finite(values: list[float], finite: bool, dtype: torch.dtype) -> None:
    assert is_finite(torch.tensor(values, dtype=dtype)) == finite


def test_sums_of_float16_do_not_overflow() -> None:
    assert is_finite(torch.full((100,), 6e4).half())


def break_weights(module: nn.Module) -> None:
    with torch.no_grad():
        next(module.parameters()).fill_(math.nan)


#: What is broken, and what is said of it.
STAGES: list[tuple[Callable[[nn.Module], None], str]] = [
    (lambda model: break_weights(model.backbone), r"feature map 0: 2048 of 2048 values are NaN"),
    (lambda model: break_weights(model.neck.fpn_convs[1]), r"feature map 1: 512 of 512 values"),
    (
        lambda model: break_weights(model.decode_head.coarse_head.conv_seg),
        r"coarse logits: \d+ of \d+ values are NaN or infinite; what they are made from is finite",
    ),
    (
        lambda model: break_weights(model.decode_head.point_head),
        r"logits of the point head: \d+ of \d+ values are NaN or infinite; what they",
    ),
]
IDS = ["backbone", "neck", "coarse head", "point head"]


@pytest.mark.parametrize(("break_stage", "message"), STAGES, ids=IDS)
@pytest.mark.parametrize("way", ["labels", "logits", "slide", "slide logits", "encode_decode"])
def test_prediction_names_the_stage(break_stage: Callable, message: str, way: str) -> None:
    model = build().eval()
    break_stage(model)
    model.predict_logits = "logits" in way
    model.predict_coarse = True
    if "slide" in way:
        model.test_cfg.update(mode="slide", crop_size=(64, 64), stride=(32, 32))
    inputs, samples = images(1, 64, 64), [sample(64, 64, path="town/a.png")]
    with torch.no_grad(), pytest.raises(NotFiniteError, match=message) as raised:
        if way == "encode_decode":
            model.encode_decode(inputs, [dict(img_shape=(64, 64))])
        else:
            model.predict(inputs, samples)
    assert "an earlier checkpoint" in str(raised.value)
    assert way == "encode_decode" or "(picture town/a.png)" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("break_stage", "message"), STAGES, ids=IDS)
def test_training_names_the_stage_and_the_loss(break_stage: Callable, message: str) -> None:
    model = build()
    break_stage(model)
    samples = [sample(64, 64), sample(64, 64, path="b.png")]
    message = message.replace("2048 of 2048", "4096 of 4096").replace("512 of 512", "1024 of 1024")
    with pytest.raises(NotFiniteError, match=rf"loss \w+\.loss_ce is nan: {message}") as raised:
        model.loss(images(2, 64, 64), samples)
    assert "clip gradients" in str(raised.value) and "(picture a.png, b.png)" in str(raised.value)


@pytest.mark.parametrize("mode", ["loss", "predict"])
def test_a_picture_that_is_not_finite_is_named(mode: str) -> None:
    model = build().train(mode == "loss")
    inputs = images(2, 64, 64)
    inputs[1, 0, 3, 5] = math.nan
    samples = [sample(64, 64), sample(64, 64, path="b.tif")]
    with pytest.raises(NotFiniteError, match=r"^picture b.tif holds NaN or infinity"):
        model(inputs, samples, mode=mode)


def test_the_loss_scaler_of_float16_is_left_alone() -> None:
    """It passes over a step whose gradients are not finite, and goes on with a smaller scale."""
    head = build().decode_head
    head.point_head.fc_seg.weight.data.fill_(math.inf)
    inputs = [torch.randn(1, 8, 64 // s, 64 // s) for s in (4, 8, 16, 32)]
    run = head.point_head.forward
    head.point_head.forward = lambda *given: run(*given).half()
    assert not head.loss(inputs, [sample(64, 64)])["point.loss_ce"].isfinite()


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (5, 3)])
@pytest.mark.parametrize("classes", [2, 1000])
def test_pictures_smaller_than_the_coarse_stride(size: tuple[int, int], classes: int) -> None:
    """The preprocessor pads them to 32."""
    model = build(num_classes=classes)
    data = dict(
        inputs=[torch.randint(0, 256, (3, *size), dtype=torch.uint8) for _ in range(2)],
        data_samples=[sample(*size) for _ in range(2)],
    )
    losses = model(**model.data_preprocessor(data, training=True), mode="loss")
    assert all(value.isfinite().all() for value in losses.values())
    samples = model.eval().test_step(data)
    assert [tuple(one.pred_sem_seg.data.shape) for one in samples] == [(1, *size)] * 2


@pytest.mark.parametrize("out_channels", [None, 1])
def test_bfloat16_trains_a_step_and_predicts(out_channels: int | None) -> None:
    model = build(num_classes=2, out_channels=out_channels)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    inputs, samples = images(2, 64, 96), [sample(64, 96), sample(64, 96)]
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            loss, values = model.parse_losses(model(inputs, samples, mode="loss"))
        assert all(value.isfinite() for value in values.values())
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = model.predict(inputs, samples)
    assert all(set(one.pred_sem_seg.data.unique().tolist()) <= {0, 1} for one in found)


def test_deterministic_algorithms_train_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points read by index, as on a GPU, give the losses and gradients of `grid_sample`."""
    found = []
    torch.use_deterministic_algorithms(True)
    try:
        for by_index in (False, True, True):
            monkeypatch.setattr(core_points, "_must_keep_order", lambda _, by=by_index: by)
            model = build(num_classes=2)
            torch.manual_seed(3)
            losses = model(images(2, 64, 64), [sample(64, 64), sample(64, 64)], mode="loss")
            loss, _ = model.parse_losses(losses)
            loss.backward()
            grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
            found.append((loss.detach(), grads))
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[1], rtol=0, atol=0)


def test_what_an_accelerator_makes_is_looked_at_in_the_end() -> None:
    """One look tells about all stages, and then the first one that is not finite is named."""
    check = FinitePrediction([torch.zeros(2)])
    for stage, value in (("first", 1.0), ("second", math.nan), ("third", math.inf)):
        check.look(stage, Elsewhere(torch.full((3,), value)))
    with pytest.raises(NotFiniteError, match="second: 3 of 3 values are NaN or infinite"):
        check.finish()
    check.finish()  # what has been told is not told again


@pytest.mark.parametrize("value", [3e38, 1.0])
def test_an_infinite_sum_of_finite_values_is_no_error(value: float) -> None:
    check = FinitePrediction([])
    check.look("logits", Elsewhere(torch.full((3,), value)))
    check.finish()


def test_what_is_recorded_cannot_be_looked_at() -> None:
    check = FinitePrediction([])
    with mock.patch("torch.compiler.is_compiling", return_value=True):
        check.look("logits", torch.tensor([math.nan]))
    check.finish()


class Elsewhere(torch.Tensor):
    """A tensor that says it is not on the CPU."""

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> "Elsewhere":
        return values.as_subclass(cls)

    @property
    def device(self) -> torch.device:
        return torch.device("meta")
