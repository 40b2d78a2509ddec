"""The clock that tells the stages of a run apart."""

import time

import pytest
import torch

from mmseg_pointrend.apis.benchmarking.stages import StageClock


class Work:
    def outer(self) -> str:
        time.sleep(0.02)
        return self.inner() + self.inner()

    def inner(self) -> str:
        time.sleep(0.03)
        return "x"


def test_a_stage_counts_without_what_lies_inside_it() -> None:
    clock, work = StageClock(torch.device("cpu")), Work()
    clock.wrap(work, "outer", "outer")
    clock.wrap(work, "inner", "inner")
    start = time.perf_counter()
    with clock.stage("all"):
        assert work.outer() == "xx"
        time.sleep(0.01)
    elapsed = time.perf_counter() - start
    assert sum(clock.seconds.values()) == pytest.approx(elapsed, abs=5e-3)
    assert clock.seconds["inner"] >= 0.06
    assert 0.02 <= clock.seconds["outer"] < clock.seconds["inner"]
    assert clock.seconds["all"] >= 0.01
    clock.reset()
    work.inner()
    assert list(clock.seconds) == ["inner"]


def test_a_stage_that_fails_is_closed() -> None:
    clock = StageClock(torch.device("cpu"))
    with pytest.raises(RuntimeError), clock.stage("outer"), clock.stage("inner"):
        raise RuntimeError
    with clock.stage("next"):
        pass
    assert list(clock.seconds) == ["inner", "outer", "next"]
    assert min(clock.seconds.values()) >= 0


def test_a_method_that_is_not_there_is_left_alone() -> None:
    work = Work()
    StageClock(torch.device("cpu")).wrap(work, "neck", "neck")
    assert not hasattr(work, "neck")
