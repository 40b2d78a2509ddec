"""Peaks of memory: of a process, and of torch's allocations."""

import sys

import pytest
import torch

from mmseg_pointrend.lab.benchmark.allocated_memory import allocated_peak
from mmseg_pointrend.lab.benchmark.peak_memory import (
    MIB,
    describe_measurement,
    in_new_process,
    measure_peak,
)

CPU = torch.device("cpu")


def use(mebibytes: int) -> int:
    """Write to that much memory, twice as much for a moment, and keep half."""
    kept = torch.ones(mebibytes * MIB // 4)
    return int((kept + 1).sum() > 0)


def measure_after_more() -> tuple[int, int]:
    use(80)
    return measure_peak(lambda: use(20), CPU), measure_peak(lambda: None, CPU)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak of a process cannot fall")
def test_a_process_peak_is_that_of_the_work() -> None:
    """Neither what the parent needed nor what the process needed before counts."""
    parent = torch.ones(200 * MIB // 4)
    peak, nothing = in_new_process(measure_after_more)
    assert parent.numel() > 0
    # Linux counts pages in batches.
    assert 39 * MIB < peak < 44 * MIB
    assert -MIB < nothing < MIB
    assert describe_measurement(CPU) == "resident memory of a process of its own"


def test_an_error_in_the_process_comes_back() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        in_new_process(int, "x")


def test_allocations_are_counted_to_the_byte() -> None:
    before = torch.ones(1000)

    def work() -> torch.Tensor:
        first = torch.empty(3000)
        second = torch.empty(500)
        del first
        return torch.cat([second, torch.empty(1000), before])

    # At first 3000 + 500 numbers; at last 500 + 1000 + the result's 2500.
    assert allocated_peak(work) == 4 * 4000
    assert allocated_peak(lambda: before.view(10, 100)) == 0
