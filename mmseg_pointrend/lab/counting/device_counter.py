"""Counting what a device is asked to do: launches, host syncs, bytes, memory."""

import weakref
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from mmseg_pointrend.lab.counting.device_work import count_syncs, count_traffic, is_launch
from mmseg_pointrend.lab.counting.pretended_device import Call, PretendedDevice


@dataclass
class DeviceWork:
    """What a device was asked to do, in the conventions of `device_work`.

    Attributes:
        launches: kernels.
        syncs: how often the host waits for the device.
        read: bytes.
        written: bytes.
        peak: the most bytes that tensors held at a time, of those made since counting began; what
            kernels hold while they run is not known.
        largest: bytes of the largest tensor that was made.
        operators: launches of each operator of torch's dispatcher.
    """

    launches: int = 0
    syncs: int = 0
    read: int = 0
    written: int = 0
    peak: int = 0
    largest: int = 0
    operators: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "DeviceWork") -> "DeviceWork":
        """Add what was asked for one after the other."""
        return DeviceWork(
            self.launches + other.launches,
            self.syncs + other.syncs,
            self.read + other.read,
            self.written + other.written,
            max(self.peak, other.peak),
            max(self.largest, other.largest),
            dict(Counter(self.operators) + Counter(other.operators)),
        )


class DeviceCounter(PretendedDevice):
    """Counts what the device is asked for while it is entered.

    Attributes:
        work: what was asked for since the last `reset` or `take`.

    Example:
        >>> import torch
        >>> from mmseg_pointrend.lab.counting.pretended_device import DEVICE
        >>> counter = DeviceCounter()
        >>> with counter:
        ...     x = torch.zeros(4, 4).to(DEVICE)
        ...     counter.reset()
        ...     found = (x.t() + 1).sum().item()
        >>> counter.work.launches, counter.work.syncs
        (3, 1)
    """

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        """Begin anew; tensors that are there are not counted any more."""
        self.work = DeviceWork()
        self._alive = _LiveBytes()

    def take(self) -> DeviceWork:
        """Give what was counted, and count on from nothing; tensors that are alive stay so."""
        taken, self.work = self.work, DeviceWork(peak=self._alive.total)
        return taken

    def saw(self, call: Call) -> None:
        """Count an operator."""
        work = self.work
        if not call.to_host:
            made = self._alive.add(call.results)
            work.largest = max(work.largest, made)
            work.peak = max(work.peak, self._alive.total)
        if not is_launch(call):
            return
        name = str(call.operator)
        work.operators[name] = work.operators.get(name, 0) + 1
        read, written = count_traffic(call)
        work.launches += 1
        work.syncs += count_syncs(call)
        work.read += read
        work.written += written


class _LiveBytes:
    """Bytes of the memory that tensors share, as long as one of them is alive."""

    def __init__(self) -> None:
        self.total = 0
        self._sizes: dict[int, int] = {}

    def add(self, tensors: Iterable[Tensor]) -> int:
        """Add the memory of tensors, where it is new; the size of the largest that is."""
        largest = 0
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if id(storage) not in self._sizes:
                self._sizes[id(storage)] = storage.nbytes()
                self.total += storage.nbytes()
                largest = max(largest, storage.nbytes())
                weakref.finalize(storage, self._forget, id(storage)).atexit = False
        return largest

    def _forget(self, number: int) -> None:
        self.total -= self._sizes.pop(number)
