"""How much memory a piece of work needs at its peak, above what was there before it."""

import ctypes
import gc
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

Result = TypeVar("Result")

#: Linux: writing 5 here lowers a process's peak to what it occupies now (man 5 proc).
_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
MIB = 2**20


def measure_peak(work: Callable[[], object], device: torch.device) -> int:
    """Run some work and measure the bytes that it needs on top of what is there already.

    On a GPU these are the bytes that torch allocates. On a CPU it is the memory that the process
    occupies: call it in a process of its own (`in_new_process`), and after a small run of the same
    kind, which loads the libraries' code.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    _return_free_memory()
    before = _reset_process_peak()
    work()
    return _process_peak() - before


def describe_measurement(device: torch.device) -> str:
    """Say in words what `measure_peak` measures on this system."""
    if device.type == "cuda":
        return "bytes allocated by torch on the GPU"
    if _can_reset():
        return "resident memory of a process of its own"
    return "highest resident memory of a process of its own, at least"


def in_new_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a new process, started from nothing; both must be picklable."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def _return_free_memory() -> None:
    """Give freed memory that the C library keeps back to the system; only glibc has a call."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _can_reset() -> bool:
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    return True


def _reset_process_peak() -> int:
    """Lower the peak to the memory in use, where the system can; return it in bytes."""
    _can_reset()
    return _process_peak()


def _process_peak() -> int:
    # Not ru_maxrss where it can be avoided: it never falls, and on Linux a new process inherits its
    # parent's.
    if _STATUS.is_file():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
