"""What a config's model costs: parameters, multiply-adds and activations of every stage.

The model runs on torch's meta device, which computes shapes and no values: no weights, no data, and
neither the memory nor the time of a real image. Conventions of counting: `operator_cost`.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

import mmseg_pointrend.models  # noqa: F401 - registers the models
from mmseg_pointrend.apis.configs import is_pointrend, prepare_config
from mmseg_pointrend.core import SubdivisionStep, pixel_centers
from mmseg_pointrend.lab.counting.operator_cost import measure
from mmseg_pointrend.lab.image_shapes import (
    image_channels,
    image_shape,
    rendering_shape,
    training_shape,
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Stage:
    """A part of a forward pass of one image.

    Attributes:
        name: which part.
        multiply_adds: see `operator_cost`.
        activations: see `operator_cost`.
        parameters: numbers in the weights; None for a part of a stage.
        points: predictions of the point head; None where it takes no part.
    """

    name: str
    multiply_adds: int
    activations: int
    parameters: int | None = None
    points: int | None = None


@dataclass(frozen=True)
class ForwardPass:
    """A forward pass of one image.

    Attributes:
        shape: (H, W) of the image.
        stages: backbone, neck and heads, in the order in which they run.
        total: the sum of the stages.
        steps: the point head in each subdivision step; none in training and without PointRend.
        dense: the point head applied once to every pixel of the last step's grid; None where there
            are no steps.
    """

    shape: tuple[int, int]
    stages: list[Stage]
    total: Stage
    steps: list[Stage]
    dense: Stage | None = None


@dataclass(frozen=True)
class Complexity:
    """What an image costs in training (forward pass, losses apart) and in rendering."""

    training: ForwardPass
    rendering: ForwardPass


def count_complexity(
    config_path: str | Path, shape: Sequence[int] | None = None, options: dict | None = None
) -> Complexity:
    """Count what a config's model costs.

    The points of a subdivision step are those that it predicts: N, or all pixels of a smaller grid
    (paper, sec. 3.1).

    Args:
        config_path: config file.
        shape: (H, W) of the image in pixels, or (S,) for a square, in training and in rendering; by
            default `training_shape` and `rendering_shape` of the config.
        options: dotted config keys and values that override the file.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: for a shape other than one or two positive integers, if the config does not say
            the shape, or if the model has several decode heads.
    """
    config = prepare_config(config_path, options=options)
    if isinstance(config.model.decode_head, list | tuple):
        raise ValueError(
            "model.decode_head is a list; PointRend is one head here, decode_head.type="
            "'PointRendHead'"
        )
    if shape is None:
        train_shape, test_shape = training_shape(config), rendering_shape(config)
    else:
        train_shape = test_shape = image_shape(shape)
    # Silenced: what mmsegmentation has to say about a training.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MODELS.build(config.model).eval().to("meta")
    with torch.device("meta"):
        train_image, test_image = (
            torch.empty(1, image_channels(config), *shape) for shape in (train_shape, test_shape)
        )
        return Complexity(
            _forward(model, train_image, training=True), _forward(model, test_image, training=False)
        )


def count_steps(
    steps: Iterable[SubdivisionStep],
) -> tuple[list[Stage], tuple[int, int] | None]:
    """Count a rendering step by step.

    Args:
        steps: does a step's work when asked for it, as `core.subdivide` does.

    Returns:
        the steps, and (H, W) of the last grid (None without steps).
    """
    stages, grid, iterator = [], None, iter(steps)
    while True:
        step, cost = measure(lambda: next(iterator, None))
        if step is None:
            return stages, grid
        grid = tuple(step.logits.shape[2:])
        name = f"step {len(stages) + 1}, grid {grid[0]}x{grid[1]}"
        stages.append(Stage(name, *cost, points=step.points.shape[1]))


def _forward(model: nn.Module, image: Tensor, training: bool) -> ForwardPass:
    """Run a model stage by stage; PointRend's heads predict points as they train, or render."""
    run = _Recorder()
    features = run("backbone", model.backbone, partial(model.backbone, image))
    if model.with_neck:
        features = run("neck", model.neck, partial(model.neck, features))
    head = model.decode_head
    if is_pointrend(model):
        features = head.with_picture(features, image)
    steps, dense = [], None
    if not is_pointrend(model):
        run("decode head", head, partial(head, features))
    elif training:
        coarse = run("coarse head", head.coarse_head, partial(head.coarse_prediction, features))
        points = head.training_points(coarse, head.margin)
        predict = partial(head.point_logits, head.point_features(features, coarse), points)
        run("point head", head.point_head, predict, points.shape[1])
    else:
        # The steps are computed when they are asked for, so this is the coarse head alone.
        coarse, iterator = run(
            "coarse head", head.coarse_head, partial(head.render_steps, features)
        )
        steps, grid = count_steps(iterator)
        parameters = _count_parameters(head.point_head)
        run.stages.append(replace(_add_up("point head", steps), parameters=parameters))
        if steps:
            pixels = pixel_centers(torch.arange(grid[0] * grid[1])[None], grid, coarse.dtype)
            predict = partial(head.point_logits, head.point_features(features, coarse), pixels)
            dense = Stage("point head, every pixel", *measure(predict)[1], points=pixels.shape[1])
    if training and model.with_auxiliary_head:
        auxiliary = model.auxiliary_head
        for one in auxiliary if isinstance(auxiliary, nn.ModuleList) else [auxiliary]:
            run("auxiliary head", one, partial(one, features))
    shape = (image.shape[2], image.shape[3])
    return ForwardPass(shape, run.stages, _add_up("total", run.stages), steps, dense)


def _add_up(name: str, stages: Sequence[Stage]) -> Stage:
    return Stage(
        name,
        sum(stage.multiply_adds for stage in stages),
        sum(stage.activations for stage in stages),
        sum(stage.parameters or 0 for stage in stages),
        sum(stage.points or 0 for stage in stages),
    )


def _count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


class _Recorder:
    """Runs stages and notes what they cost."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    def __call__(
        self, name: str, module: nn.Module, work: Callable[[], Result], points: int | None = None
    ) -> Result:
        result, cost = measure(work)
        self.stages.append(Stage(name, *cost, _count_parameters(module), points))
        return result
