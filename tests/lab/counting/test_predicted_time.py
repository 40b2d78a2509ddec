"""Times predicted from counts, worked out by hand."""

import pytest

from mmseg_pointrend.lab.counting.device_counter import DeviceWork
from mmseg_pointrend.lab.counting.predicted_time import seconds_of_host, seconds_of_memory


def test_predictions() -> None:
    work = DeviceWork(launches=100, syncs=3, read=4 * 10**9, written=2 * 10**9)
    assert seconds_of_host(work) == pytest.approx((560e-6, 1150e-6))
    assert seconds_of_memory(work) == pytest.approx((3e-3, 20e-3))
