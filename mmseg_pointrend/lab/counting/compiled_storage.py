"""What the code that `torch.compile` writes for a function keeps in memory."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: `buf3 = empty_strided_cpu((2, 3), (3, 1), torch.float32)`
_ALLOCATED = re.compile(r"(\w+) = empty_strided_cpu\(\(([^)]*)\), \([^)]*\), torch\.(\w+)\)")
#: `buf5 = buf3; del buf3  # reuse`, and with another shape `buf5 = reinterpret_tensor(buf3, ...`
_REUSED = re.compile(
    r"(\w+) = (?:reinterpret_tensor\((\w+), \(([^)]*)\).*|(\w+)); del \w+  # reuse"
)


@dataclass(frozen=True)
class CompiledStorage:
    """What compiled code keeps between its kernels; inputs and weights are not in it.

    Attributes:
        stored: bytes of all results that are written to memory, once each.
        allocated: bytes of the buffers that hold them, some one after the other: an upper bound of
            the peak, as if none were freed.
        largest: bytes of the largest of them.
    """

    stored: int
    allocated: int
    largest: int


def compiled_storage(function: Callable, *args: Tensor) -> CompiledStorage:
    """Compile a function and read from the code what it stores.

    Args:
        function: of tensors on the CPU, without a graph break; it is compiled for the shapes of
            `args`, which takes minutes where it is large.
        args: given to it once.

    Raises:
        torch._dynamo.exc.Unsupported: for a function with a graph break.

    Example:
        >>> found = compiled_storage(lambda x: (x.sin() + 1).sum(), torch.zeros(64, 64))
        >>> found.stored < 4096  # of what is summed nothing is kept
        True
    """
    # Private, and the one way to the code; torch is pinned.
    from torch._inductor.utils import run_and_get_code

    with torch.no_grad():
        compiled = torch.compile(function, fullgraph=True, dynamic=False)
        _, sources = run_and_get_code(compiled, *args)
    return read_storage("\n".join(sources))


def read_storage(source: str) -> CompiledStorage:
    """Read what Inductor's code stores.

    Example:
        >>> read_storage("buf0 = empty_strided_cpu((2, 3), (3, 1), torch.float32)")
        CompiledStorage(stored=24, allocated=24, largest=24)
    """
    widths: dict[str, int] = {}
    sizes: dict[str, int] = {}
    allocated = stored = 0
    for line in source.splitlines():
        if found := _ALLOCATED.search(line):
            name, shape, dtype = found.groups()
            widths[name] = getattr(torch, dtype).itemsize
            sizes[name] = _count(shape) * widths[name]
            allocated += sizes[name]
        elif found := _REUSED.search(line):
            name, viewed, shape, plain = found.groups()
            widths[name] = widths.get(viewed or plain, 0)
            sizes[name] = _count(shape) * widths[name] if viewed else sizes.get(plain, 0)
        else:
            continue
        stored += sizes[name]
    return CompiledStorage(stored, allocated, max(sizes.values(), default=0))


def _count(shape: str) -> int:
    return math.prod(int(side) for side in shape.split(",") if side.strip())
