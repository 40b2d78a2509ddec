"""What torch operators cost: multiply-adds and activations.

Conventions
-----------
Counted are convolutions and matrix products, as operators: it does not matter which modules they
come from. Biases, normalisation, activation functions, interpolation, point sampling and the
choice of points cost nothing here.

Multiply-add: one multiplication with its addition. It is what the paper calls FLOPs (Table 2) and
fvcore calls flops; `torch.utils.flop_counter`, which counts them here, counts each as two.
Activations: elements of the outputs of the counted operators, as fvcore counts them.

Only shapes matter, so tensors on torch's meta device do, which hold no values.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

Result = TypeVar("Result")

_ATEN = torch.ops.aten
_COUNTED = (_ATEN.convolution, _ATEN.mm, _ATEN.addmm, _ATEN.bmm, _ATEN.baddbmm)


class Cost(NamedTuple):
    """What a piece of work cost, in the conventions of this module."""

    multiply_adds: int
    activations: int


def measure(work: Callable[[], Result]) -> tuple[Result, Cost]:
    """Do some work without gradients and count its operators.

    Args:
        work: calls torch operators, on any device.

    Returns:
        what `work` returned, and what it cost.
    """
    # In place, a product adds to an output that is counted already.
    in_place = {_ATEN.addmm_: _product_flops}
    outputs, products = _OutputCounter(), FlopCounterMode(display=False, custom_mapping=in_place)
    # Entered last, torch's counter comes first, and takes composite operators apart for both.
    with torch.no_grad(), outputs, products:
        result = work()
    return result, Cost(products.get_total_flops() // 2, outputs.elements)


def _product_flops(_: Any, a_shape: Any, b_shape: Any, *args: Any, **kwargs: Any) -> int:
    """Count as torch does: (m, k) times (k, n) has m k n multiplications and as many additions."""
    return 2 * a_shape[0] * a_shape[1] * b_shape[1]


class _OutputCounter(TorchDispatchMode):
    """Counts the output elements of the counted operators."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func.overloadpacket in _COUNTED:
            self.elements += output.numel()
        return output
