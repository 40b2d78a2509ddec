"""CUDA's autocast, for what `torch.autocast("cuda", dtype)` passes over on a make-believe GPU.

Which operators it computes in which type: https://docs.pytorch.org/docs/stable/amp.html. These are
the ones that the models of this project call.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

#: In half precision. In place it casts nothing.
_IN_HALF: set[Callable] = {
    F.linear,
    torch.addmm,
    torch.baddbmm,
    torch.bmm,
    torch.conv1d,
    torch.conv2d,
    torch.conv_transpose2d,
    torch.matmul,
    Tensor.matmul,
    Tensor.__matmul__,
    torch.mm,
    Tensor.mm,
}
#: In single precision.
_IN_SINGLE: set[Callable] = {
    F.binary_cross_entropy_with_logits,
    F.cross_entropy,
    F.group_norm,
    F.layer_norm,
    F.log_softmax,
    F.nll_loss,
    F.softmax,
    torch.binary_cross_entropy_with_logits,
    torch.exp,
    Tensor.exp,
    torch.log,
    Tensor.log,
    torch.pow,
    Tensor.pow,
    torch.softmax,
    Tensor.softmax,
    torch.sum,
    Tensor.sum,
}


class PretendAutocast(TorchFunctionMode):
    """Cast what functions are given, where `torch.autocast("cuda", dtype)` is in force."""

    def __torch_function__(
        self, function: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch.is_autocast_enabled("cuda"):
            half = torch.get_autocast_dtype("cuda")
            if function in _IN_HALF:
                args, kwargs = _cast((args, kwargs), half)
            elif function in _IN_SINGLE:
                args, kwargs = _cast((args, kwargs), torch.float32)
        return function(*args, **kwargs)


def _cast(tree: Any, dtype: torch.dtype) -> Any:
    """Cast the GPU's floating-point tensors, those in double precision aside."""

    def cast(values: Tensor) -> Tensor:
        eligible = values.is_cuda and values.is_floating_point() and values.dtype != torch.float64
        return values.to(dtype) if eligible else values

    return tree_map_only(Tensor, cast, tree)
