"""The same thing done on the CPU and on the make-believe GPU."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from tests.accelerator.pretend_gpu import DEVICE


def to_gpu(tree: Any) -> Any:
    """Bring all tensors of a tree to the GPU."""
    return tree_map_only(Tensor, lambda tensor: tensor.to(DEVICE), tree)


def to_cpu(tree: Any) -> Any:
    """Bring all tensors of a tree to the CPU."""
    return tree_map_only(Tensor, Tensor.cpu, tree)


def assert_same(function: Callable, *arguments: Any, rtol: float = 0, atol: float = 0) -> Any:
    """Call a function on both devices, with equal random numbers, and compare.

    Args:
        function: arguments -> a tree of tensors, all of which must be where the arguments are.
        *arguments: trees of tensors.
        rtol: of `torch.testing.assert_close`.
        atol: of `torch.testing.assert_close`.

    Returns:
        what it gave on the CPU.
    """
    torch.manual_seed(0)
    expected = function(*arguments)
    torch.manual_seed(0)
    found = function(*to_gpu(arguments))
    tensors = [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]
    assert tensors and all(tensor.device == DEVICE for tensor in tensors)
    torch.testing.assert_close(to_cpu(found), expected, rtol=rtol, atol=atol)
    return expected
