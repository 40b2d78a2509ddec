"""What configs cost: against formulas, published numbers and the paper's Table 2."""

import warnings
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.analysis import ActivationAnalyzer, FlopAnalyzer
from mmseg.registry import MODELS
from torch import nn

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.core import Subdivision, subdivide
from mmseg_pointrend.lab.counting.complexity import (
    Complexity,
    ForwardPass,
    Stage,
    count_complexity,
    count_steps,
    rendering_shape,
    training_shape,
)
from mmseg_pointrend.lab.counting.cost_table import format_complexity
from mmseg_pointrend.lab.counting.operator_cost import measure
from tests.repository.test_configs import NAMES, ROOT, light, loaded
from tests.shallow import shallow_resnets

CITYSCAPES = "pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"
ADE20K = "pointrend/pointrend_r50_4xb4-160k_ade20k-512x512.py"
SMALL = "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"
SMALL_FPN = "sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py"


@cache
def count(name: str) -> Complexity:
    return count_complexity(ROOT / name)


def stages(forward: ForwardPass) -> dict:
    return {stage.name: stage for stage in forward.stages}


def point_cost(
    fine: int, width: int, logits: int, layers: int, every: bool = True
) -> tuple[int, int]:
    """Multiply-adds and activations of one point in an MLP of so many hidden layers.

    Every layer also reads the coarse prediction, or the first one alone.
    """
    later = width + (logits if every else 0)
    hidden = (fine + logits) * width + (layers - 1) * later * width
    return hidden + later * logits, layers * width + logits


@pytest.mark.parametrize("name", NAMES)
def test_every_config(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where weights have no values, none need be drawn first.
    for draw in ("uniform_", "normal_", "kaiming_uniform_", "xavier_uniform_", "trunc_normal_"):
        monkeypatch.setattr(nn.init, draw, lambda tensor, *arguments, **settings: tensor)
    config, options = loaded(name), light(name)
    config.merge_from_dict(options)
    with shallow_resnets():
        complexity = count_complexity(ROOT / name, options=options)
    for forward in (complexity.training, complexity.rendering):
        for field in ("parameters", "multiply_adds", "activations"):
            values = [getattr(stage, field) for stage in forward.stages]
            assert sum(values) == getattr(forward.total, field) and min(values) > 0
    network = ["backbone", "neck"] if config.model.get("neck") else ["backbone"]
    auxiliary = ["auxiliary head"] if config.model.get("auxiliary_head") else []
    if "pointrend" not in name:
        assert list(stages(complexity.training)) == [*network, "decode head", *auxiliary]
        assert list(stages(complexity.rendering)) == [*network, "decode head"]
        assert complexity.rendering.steps == [] and complexity.rendering.dense is None
        return

    head = config.model.decode_head
    (fine,), width = head.point_head.in_channels, head.point_head.channels
    logits, layers = head.get("out_channels") or head.num_classes, head.point_head.get("num_fcs", 3)
    every = head.point_head.get("coarse_pred_each_layer", True)
    each = point_cost(fine, width, logits, layers, every)
    training, rendering = complexity.training, complexity.rendering
    names = [*network, "coarse head", "point head"]
    assert list(stages(training)) == [*names, *auxiliary]
    assert list(stages(rendering)) == names

    def check(stage: Stage, points: int) -> None:
        assert stage.points == points
        assert (stage.multiply_adds, stage.activations) == (points * each[0], points * each[1])

    check(stages(training)["point head"], head.training_points.num_points)
    assert len(rendering.steps) == head.subdivision.steps
    for step in rendering.steps:
        check(step, step.points)
    check(stages(rendering)["point head"], sum(step.points for step in rendering.steps))
    # Of the last grid, which is a little larger than a picture that the stride does not divide.
    height, width = map(int, rendering.steps[-1].name.split()[-1].split("x"))
    assert height >= rendering.shape[0] and width >= rendering.shape[1]
    check(rendering.dense, height * width)


def test_the_cityscapes_numbers() -> None:
    """Point head: 3 * 275 * 256 + 275 * 19 = 216425 multiply-adds a point."""
    training, rendering = count(CITYSCAPES).training, count(CITYSCAPES).rendering
    assert (training.shape, rendering.shape) == ((512, 1024), (1024, 2048))
    head = stages(rendering)["point head"]
    assert head.multiply_adds == 2 * 8192 * 216425
    assert head.parameters == 216425 + 3 * 256 + 19
    assert [step.name for step in rendering.steps] == [
        "step 1, grid 512x1024", "step 2, grid 1024x2048"
    ]  # fmt: skip
    assert rendering.dense.multiply_adds == 1024 * 2048 * 216425
    # Four times the pixels in testing.
    for name in ("backbone", "neck", "coarse head"):
        assert stages(rendering)[name].multiply_adds == 4 * stages(training)[name].multiply_adds


def test_resnet_50_is_as_published() -> None:
    """torchvision: 4.089 G multiply-adds at 224x224 and 25 557 032 parameters.

    Of these, 2 048 000 and 2 049 000 are the classifier's. Instead of a 7x7 convolution, v1c has
    three of 3x3 (3 -> 32 -> 32 -> 64 channels) at 112x112, and two more normalisations of 32.
    """
    backbone = count_complexity(ROOT / CITYSCAPES, [224]).rendering.stages[0]
    stem = 9 * (3 * 32 + 32 * 32 + 32 * 64) - 49 * 3 * 64
    assert backbone.parameters == 25_557_032 - 2_049_000 + stem + 2 * 2 * 32
    expected = 4.089e9 - 2_048_000 + 112 * 112 * stem
    assert backbone.multiply_adds == pytest.approx(expected, rel=2e-4)


def test_fvcore_counts_the_same() -> None:
    """On a real image, by tracing; odd sizes."""
    path, shape = ROOT / "sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py", (67, 131)
    model = MODELS.build(prepare_config(path).model).eval()
    image = torch.zeros(1, 3, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flops = FlopAnalyzer(model, image).by_operator()["conv"]
        activations = ActivationAnalyzer(model, image).total()
    total = count_complexity(path, shape).rendering.total
    assert total.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert (total.multiply_adds, total.activations) == (flops, activations)


def table_2_steps() -> list:
    """The rendering of the paper's Table 2: one region, 80 classes, 7x7 to 224x224, N = 28^2."""
    with torch.device("meta"):
        mlp = MODELS.build(
            dict(type="mmseg.PointMLP", in_channels=256, out_channels=80, channels=256, num_fcs=3)
        )

        def predict(points: torch.Tensor) -> torch.Tensor:
            count = points.shape[1]
            return mlp(torch.empty(1, 256, count), torch.empty(1, 80, count))

        steps, grid = count_steps(
            subdivide(torch.empty(1, 80, 7, 7), predict, Subdivision(5, 28**2))
        )
    assert grid == (224, 224)
    return steps


def test_points_are_counted_as_in_the_paper() -> None:
    """Sec. 3.1: 28^2 * 4.25 points, 15 times fewer than 224^2; the first step has only 14^2."""
    points = [step.points for step in table_2_steps()]
    assert points == [14**2, 28**2, 28**2, 28**2, 28**2]
    assert sum(points) == 28**2 * 4.25
    assert round(224**2 / sum(points)) == 15


def test_table_2_pointrend() -> None:
    """Table 2: 0.9B FLOPs, 0.7M activations. The paper does not say what they contain.

    The FLOPs are those of all steps: 0.949B for the point head with its 80 logits. The activations
    cannot be: all steps together have 2.8M, four times as many. They are those of one step, which
    is what is in memory at a time: 0.665M. Both round to the paper's digits.

    With the coarse head (sec. 4) added the activations still do, 0.683M, and the FLOPs are 0.980B,
    9 % above 0.9B: Table 2 seems to leave it out, or to cut digits off.
    """
    steps = table_2_steps()
    multiply_adds = sum(step.multiply_adds for step in steps)
    assert multiply_adds == 3332 * (3 * 336 * 256 + 336 * 80) == 949_380_096
    assert round(multiply_adds / 1e9, 1) == 0.9
    largest = max(step.activations for step in steps)
    assert largest == 28**2 * (3 * 256 + 80) == 664_832
    assert round(largest / 1e6, 1) == 0.7
    assert sum(step.activations for step in steps) == 2_825_536

    with torch.device("meta"):
        coarse = nn.Sequential(
            nn.Conv2d(256, 256, 2, stride=2),
            nn.Flatten(),
            nn.Linear(256 * 7 * 7, 1024),
            nn.Linear(1024, 1024),
            nn.Linear(1024, 80 * 7 * 7),
        )
        _, cost = measure(lambda: coarse(torch.empty(1, 256, 14, 14)))
    assert round((multiply_adds + cost.multiply_adds) / 1e9, 3) == 0.980
    assert round((largest + cost.activations) / 1e6, 3) == 0.683


@pytest.mark.parametrize(
    ("region", "flops", "activations"), [(112, "34B", "33M"), (14, "0.5B", "0.5M")]
)
def test_table_2_four_convolutions(region: int, flops: str, activations: str) -> None:
    """Table 2's other rows: the paper's FLOPs; its activations count the region's features too.

    Convolutions alone have 29.7M activations at 224x224, 10 % below the paper's 33M; the RoIAlign
    output that the head starts from adds 3.2M.
    """
    convolutions = [nn.Conv2d(256, 256, 3, padding=1, device="meta") for _ in range(4)]
    head = nn.Sequential(
        *convolutions,
        nn.ConvTranspose2d(256, 256, 2, stride=2, device="meta"),
        nn.Conv2d(256, 80, 1, device="meta"),
    )
    features = torch.empty(1, 256, region, region, device="meta")
    result, cost = measure(lambda: head(features))
    assert result.shape[2:] == (2 * region, 2 * region)
    digits = 0 if region == 112 else 1
    assert f"{cost.multiply_adds / 1e9:.{digits}f}B" == flops
    assert f"{(cost.activations + features.numel()) / 1e6:.{digits}f}M" == activations
    if region == 112:
        assert round(cost.activations / 1e6, 1) == 29.7


@pytest.mark.parametrize(
    ("name", "training", "rendering"),
    [
        (CITYSCAPES, (512, 1024), (1024, 2048)),
        (ADE20K, (512, 512), (512, 512)),
        (SMALL, (128, 256), (128, 256)),
    ],
)
def test_shapes_come_from_the_config(name: str, training: tuple, rendering: tuple) -> None:
    config = prepare_config(ROOT / name)
    assert training_shape(config) == training
    assert rendering_shape(config) == rendering


def test_a_sliding_window_and_a_crop_size() -> None:
    config = prepare_config(ROOT / CITYSCAPES)
    config.model.test_cfg = dict(mode="slide", crop_size=(257, 513), stride=(171, 342))
    assert rendering_shape(config) == (257, 513)
    config.model.data_preprocessor.pop("size")
    assert training_shape(config) == (512, 1024)
    config.pop("crop_size")
    with pytest.raises(ValueError, match=r"neither model.data_preprocessor.size nor crop_size"):
        training_shape(config)


def test_a_shape_that_is_given_holds_for_both() -> None:
    options = {"model.decode_head.subdivision.num_points": 1152}
    complexity = count_complexity(ROOT / SMALL, [67, 131], options)
    # The backbone rounds up: coarse maps of stride 8 are 9x17.
    grids = ["step 1, grid 18x34", "step 2, grid 36x68", "step 3, grid 72x136"]
    assert complexity.training.shape == complexity.rendering.shape == (67, 131)
    assert [step.name for step in complexity.rendering.steps] == grids
    assert [step.points for step in complexity.rendering.steps] == [18 * 34, 1152, 1152]
    assert complexity.rendering.dense.points == 72 * 136


@pytest.mark.parametrize("shape", [[], [1, 2, 3], [0], [-4, 8], [64.0, 64]])
def test_other_shapes_are_refused(shape: list) -> None:
    with pytest.raises(ValueError, match="shape must be one or two positive integers"):
        count_complexity(ROOT / SMALL, shape)


def test_a_list_of_heads_is_refused(tmp_path: Path) -> None:
    """The form of mmsegmentation's own PointRend configs."""
    path = tmp_path / "list.py"
    path.write_text("model = dict(type='CascadeEncoderDecoder', decode_head=[dict(), dict()])\n")
    with pytest.raises(ValueError, match="decode_head is a list"):
        count_complexity(path)


def test_no_weights_are_loaded() -> None:
    complexity = count_complexity(ROOT / CITYSCAPES, [64], {"model.pretrained": "nowhere.pth"})
    assert complexity.training.total.multiply_adds > 0


def test_no_steps_are_the_coarse_prediction() -> None:
    complexity = count_complexity(ROOT / SMALL, None, {"model.decode_head.subdivision.steps": 0})
    assert complexity.rendering.steps == [] and complexity.rendering.dense is None
    assert stages(complexity.rendering)["point head"].multiply_adds == 0
    assert "times fewer" not in format_complexity(complexity)


def test_the_picture_makes_the_first_layer_wider() -> None:
    reading = count_complexity(
        ROOT / SMALL, None, {"model.decode_head.picture": dict(kernel_size=3)}
    )
    for found, plain in [
        (reading.training, count(SMALL).training),
        (reading.rendering, count(SMALL).rendering),
    ]:
        head, before = stages(found)["point head"], stages(plain)["point head"]
        assert head.points == before.points
        assert head.multiply_adds == before.multiply_adds + head.points * 27 * 64
        assert head.parameters == before.parameters + 27 * 64


def test_an_auxiliary_head_costs_in_training_alone() -> None:
    auxiliary = dict(
        type="FCNHead", in_channels=64, in_index=3, channels=8, num_convs=1, num_classes=9,
        norm_cfg=dict(type="BN"), concat_input=False,
    )  # fmt: skip
    complexity = count_complexity(ROOT / SMALL, None, {"model.auxiliary_head": auxiliary})
    # A 4x8 map: a 3x3 convolution from 64 to 8 channels, then 8 to 9.
    cost = 4 * 8 * (9 * 64 * 8 + 8 * 9)
    assert stages(complexity.training)["auxiliary head"].multiply_adds == cost
    assert (
        complexity.training.total.multiply_adds == count(SMALL).training.total.multiply_adds + cost
    )
    assert complexity.rendering == count(SMALL).rendering


def test_the_table() -> None:
    lines = format_complexity(count(CITYSCAPES)).splitlines()
    assert lines[0] == "Training, forward pass of one image of 512x1024"
    assert "Rendering, one image of 1024x2048" in lines
    cells = [line.split() for line in lines]
    # 16384 * 216425 = 3.546 G; 16384 * (3 * 256 + 19) = 12.894 M
    assert ["point", "head", "16384", "0.217", "3.546", "12.894"] in cells
    assert ["step", "2,", "grid", "1024x2048", "8192", "1.773", "6.447"] in cells
    assert ["point", "head,", "every", "pixel", "2097152", "453.876", "1650.459"] in cells
    assert ["points", "128.0"] in cells
    assert ["activations", "at", "a", "time", "(largest", "step)", "256.0"] in cells
    baseline = format_complexity(count(SMALL_FPN))
    assert "decode head" in baseline and "point" not in baseline.replace("points", "")
