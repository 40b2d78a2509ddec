"""How many bytes torch's CPU allocator holds at the peak of some work."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

# Else the profiler's library says on stderr when it starts and stops.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")


def allocated_peak(work: Callable[[], object]) -> int:
    """Run some work and count the bytes of its tensors at their peak, scratch tensors included.

    What was there before does not count. The number comes from the allocations themselves, as
    torch's profiler lists them, so it is the same in every run; what libraries allocate past torch
    is not in it.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        result = work()
    # Freed here, not in the trace.
    del result
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        trace.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    allocations = sorted(
        (event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]"
    )
    held = peak = 0
    for _, size in allocations:
        held += size
        peak = max(peak, held)
    return peak
