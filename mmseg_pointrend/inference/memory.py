"""A picture that does not fit into memory ends with an error, and not with the process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torch import nn

TOO_LARGE = "does not fit into memory"
TOO_LARGE_AS_A_WHOLE = f"{TOO_LARGE} as a whole; sliding windows (--window H W) need less"
#: Share of the free memory that is left to others.
_SPARED = 0.1
#: What allocators say: torch's, NumPy's, OpenCV's, oneDNN's and C++'s.
_SAYINGS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "unable to allocate",
    "insufficient memory",
    "could not create a primitive",
    "bad_alloc",
)


@contextmanager
def no_more_than_free(model: nn.Module) -> Iterator[None]:
    """Let allocations fail that want nearly all of what the machine has free.

    Linux promises memory that it does not have, and kills who then uses it: a job ends without a
    word because one of its pictures is large. Elsewhere, and for a model on a GPU, nothing is done.

    Args:
        model: which is to predict.
    """
    on_cpu = all(weights.device.type == "cpu" for weights in model.parameters())
    free = _free_bytes() if on_cpu and sys.platform == "linux" else None
    if free is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    most = _kilobytes("/proc/self/status", "VmData") + int(free * (1 - _SPARED))
    limit = most if before[0] == resource.RLIM_INFINITY else min(most, before[0])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@contextmanager
def explained(path: str | Path, whole: bool) -> Iterator[None]:
    """Say of which picture there is too much.

    Args:
        path: the picture's.
        whole: whether it is predicted at once, without windows.

    Raises:
        ValueError: in place of whatever says that memory is short.
    """
    try:
        yield
    except Exception as error:
        if not lacks_memory(error):
            raise
        raise ValueError(f"image {path} {TOO_LARGE_AS_A_WHOLE if whole else TOO_LARGE}") from error


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(saying in said for saying in _SAYINGS)


def _free_bytes() -> int | None:
    """Find how much memory may be taken: of the machine and, in a container, of that."""
    found = []
    with suppress(OSError, LookupError, ValueError):
        found.append(_kilobytes("/proc/meminfo", "MemAvailable"))
    with suppress(OSError, LookupError, ValueError):
        group = Path("/sys/fs/cgroup")
        used = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        found.append(int((group / "memory.max").read_text()) - int(used["anon"]))
    return max(0, min(found)) if found else None


def _kilobytes(file: str, name: str) -> int:
    """Read a line `name: number kB` of a file of the kernel: bytes."""
    for line in Path(file).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
