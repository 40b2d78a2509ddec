"""How much is worked on at a time, which depends on where the work is done.

A processor is fast while a piece stays in its cache. An accelerator waits for every launch: it is
given as much at a time as its memory allows.
"""

import sys
from typing import Any

import torch

#: Bytes that a piece may hold on a CPU: few enough to stay in a cache of some megabytes.
_CACHE = 1 << 22
#: Bytes of a piece elsewhere, where nothing is known of the memory.
_USUAL = 1 << 31
#: Part of the free memory that a piece may take; while one is worked on there are others like it.
_PART = 4


def piece_size(device: torch.device, itemsize: int = 4, cache: int = _CACHE) -> int:
    """Tell how many elements a piece of work should hold.

    Args:
        device: where the work is done.
        itemsize: bytes of an element.
        cache: bytes that a piece may hold on a CPU.

    Returns:
        a number >= 1; what is being compiled is not cut into pieces.

    Example:
        >>> piece_size(torch.device("cpu"))
        1048576
    """
    if torch.compiler.is_compiling():
        return sys.maxsize
    if device.type == "cpu":
        return max(1, cache // itemsize)
    free = free_memory(device)
    return max(_CACHE, _USUAL if free is None else free // _PART) // itemsize


def is_recorded(device: torch.device) -> bool:
    """Whether work is being recorded and not done: compiled, or captured in a CUDA graph.

    What comes out cannot be asked for then.
    """
    if torch.compiler.is_compiling():
        return True
    capturing = getattr(getattr(torch, device.type, None), "is_current_stream_capturing", None)
    return capturing is not None and capturing()


def free_memory(device: torch.device) -> int | None:
    """Tell how many bytes an accelerator has left, those included that torch holds in reserve.

    Returns:
        None where it cannot be asked: on a CPU, on devices whose module in torch does not know it
        or that are not there, and while a CUDA graph is captured.
    """
    module: Any = getattr(torch, device.type, None)
    if device.type == "cpu" or not hasattr(module, "mem_get_info") or not module.is_available():
        return None
    if is_recorded(device):
        return None
    free, _ = module.mem_get_info(device)
    return free + module.memory_reserved(device) - module.memory_allocated(device)
