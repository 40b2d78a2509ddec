"""Which part of a model is at work, and a clock that is stopped at the borders of its parts."""

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch


class Stages(ABC):
    """Told which stage of a piece of work begins and ends; they may lie inside one another."""

    @abstractmethod
    def stage(self, name: str) -> AbstractContextManager[None]:
        """Take the block under it for a stage."""

    def wrap(self, owner: object, method: str, name: str) -> None:
        """Make every call of a method of an object a stage; without such a method do nothing."""
        function: Callable | None = getattr(owner, method, None)
        if function is None:
            return

        @functools.wraps(function)
        def staged(*args: object, **kwargs: object) -> object:
            with self.stage(name):
                return function(*args, **kwargs)

        setattr(owner, method, staged)


class StageClock(Stages):
    """Measure stages; each counts the time spent in it alone, not in those inside it.

    So the stages of a run add up to the run. The device is waited for at every border, which on a
    GPU takes away what little the stages would overlap.

    Args:
        device: what runs the work.

    Attributes:
        seconds: stage -> seconds since the last `reset`.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device
        self._inner: list[float] = []

    def reset(self) -> None:
        """Forget what was measured."""
        self.seconds = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block under it."""
        start = self._now()
        self._inner.append(0.0)
        try:
            yield
        finally:
            elapsed = self._now() - start
            inner = self._inner.pop()
            self.seconds[name] = self.seconds.get(name, 0.0) + elapsed - inner
            if self._inner:
                self._inner[-1] += elapsed

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
