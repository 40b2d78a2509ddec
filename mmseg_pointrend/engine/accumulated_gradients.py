"""Gradients that were accumulated and not applied yet, when a checkpoint falls between."""

import torch
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmseg_pointrend.engine.weights_check import unwrap


def are_applied(runner: Runner, iterations: int) -> bool:
    """Whether after so many iterations no gradients wait for more of them."""
    return iterations % getattr(runner.optim_wrapper, "_accumulative_counts", 1) == 0


def collect_gradients(runner: Runner, iterations: int) -> dict[str, Tensor]:
    """Collect the gradients that wait for more iterations; every process must ask.

    Args:
        runner: in training.
        iterations: iterations done.

    Returns:
        the gradients by the names of the parameters, in the mean over the processes, whose
        gradients are averaged in any case when they are applied; none where all are applied.
    """
    if are_applied(runner, iterations) or not isinstance(runner.optim_wrapper, OptimWrapper):
        return {}
    found = {}
    for name, parameter in unwrap(runner.model).named_parameters():
        if parameter.grad is not None:
            found[name] = parameter.grad.detach().clone()
            all_reduce(found[name], "mean")
    return found


def restore_gradients(runner: Runner, gradients: dict[str, Tensor]) -> None:
    """Give parameters the gradients that a checkpoint has kept."""
    for name, parameter in unwrap(runner.model).named_parameters():
        if name in gradients:
            parameter.grad = torch.empty_like(parameter).copy_(gradients[name])
