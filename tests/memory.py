"""How much memory tensors take, counted and not sampled: the same on every run."""

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile


def peak_bytes(function: Callable[[], object]) -> int:
    """Return the most memory that tensors allocated during a call held at any one time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = function()
    changes = [
        event.nbytes()
        for event in profiler.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    del result
    assert len(changes) > 100
    held = torch.tensor(changes).cumsum(0)
    return int(held.max())
