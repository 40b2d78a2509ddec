"""How long a device would take, predicted from counts; nothing here was measured.

A launch from Python takes the host some microseconds, and a device reads and writes so many bytes a
second. The two overlap: the device waits for the host, or the host for the device. What kernels
compute beside that is left out; of what follows the coarse logits it is little.
"""

from typing import NamedTuple

from mmseg_pointrend.lab.counting.device_counter import DeviceWork


class Span(NamedTuple):
    """Seconds, at the least and at the most.

    Attributes:
        least: with the smaller cost.
        most: with the larger one.
    """

    least: float
    most: float


#: Seconds that the host takes for a launch from Python, and for a sync beside the waiting.
LAUNCH, SYNC = Span(5e-6, 10e-6), Span(20e-6, 50e-6)
#: Bytes a second: the memory of an 80 GB card (A100: 2 TB/s), and of a small one (T4: 0.3 TB/s).
BANDWIDTHS = (2e12, 0.3e12)


def seconds_of_host(work: DeviceWork) -> Span:
    """Predict how long the host takes to ask for everything."""
    return Span(
        *(
            work.launches * launch + work.syncs * sync
            for launch, sync in zip(LAUNCH, SYNC, strict=True)
        )
    )


def seconds_of_memory(work: DeviceWork) -> Span:
    """Predict how long the device takes to read and write everything."""
    return Span(*((work.read + work.written) / bandwidth for bandwidth in BANDWIDTHS))
