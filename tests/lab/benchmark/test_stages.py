"""The clock that tells the stages of a run apart."""

import time
from types import SimpleNamespace

import pytest
import torch

from mmseg_pointrend.lab.benchmark import stages
from mmseg_pointrend.lab.benchmark.stages import StageClock


class Work:
    """Work that takes as long as it says, on a clock that a busy machine does not disturb."""

    now = 0.0

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def outer(self) -> str:
        self.wait(2)
        return self.inner() + self.inner()

    def inner(self) -> str:
        self.wait(3)
        return "x"


def test_a_stage_counts_without_what_lies_inside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, work = StageClock(torch.device("cpu")), Work()
    monkeypatch.setattr(stages, "time", SimpleNamespace(perf_counter=lambda: work.now))
    clock.wrap(work, "outer", "outer")
    clock.wrap(work, "inner", "inner")
    with clock.stage("all"):
        assert work.outer() == "xx"
        work.wait(1)
    assert clock.seconds == dict(inner=6, outer=2, all=1)
    clock.reset()
    work.inner()
    assert clock.seconds == dict(inner=3)


def test_seconds_are_real() -> None:
    clock = StageClock(torch.device("cpu"))
    start = time.perf_counter()
    with clock.stage("sleep"):
        time.sleep(0.02)
    assert 0.02 <= clock.seconds["sleep"] <= time.perf_counter() - start


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
