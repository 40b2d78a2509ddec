"""What the tests on a make-believe GPU share."""

from collections.abc import Iterator

import pytest

from tests.accelerator.pretend_gpu import PretendGPU


@pytest.fixture
def gpu() -> Iterator[PretendGPU]:
    """Let there be a GPU in this test."""
    with PretendGPU() as found:
        yield found
