"""Trainings in which each process has a part of the model."""

import torch
from mmengine.runner import FlexibleRunner, Runner
from mmseg.registry import MODELS
from torch import nn


def is_sharded(runner: Runner | FlexibleRunner) -> bool:
    """Whether a runner's processes share one model instead of having it each."""
    return isinstance(runner, FlexibleRunner)


def whole_model(runner: Runner | FlexibleRunner) -> nn.Module:
    """Give the model whose weights a checkpoint should have.

    Args:
        runner: its model is loaded.

    Returns:
        the runner's model; where this process has a part of it, one of the same shapes.
    """
    if not is_sharded(runner):
        return runner.model
    with torch.device("meta"):
        model = MODELS.build(runner.cfg.model)
    return model.to_empty(device="cpu")
