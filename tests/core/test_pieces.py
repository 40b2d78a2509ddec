"""How much is worked on at a time."""

import sys
from types import SimpleNamespace
from unittest import mock

import pytest
import torch

from mmseg_pointrend.core.pieces import free_memory, piece_size

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def card(free: int, reserved: int, allocated: int, **more: object) -> mock._patch:
    """A make-believe `torch.cuda`."""
    return mock.patch.object(
        torch,
        "cuda",
        SimpleNamespace(
            is_available=lambda: True,
            is_current_stream_capturing=lambda: False,
            mem_get_info=lambda device: (free, 10 * free),
            memory_reserved=lambda device: reserved,
            memory_allocated=lambda device: allocated,
        ),
        **more,
    )


def test_on_a_cpu_a_piece_stays_in_the_cache() -> None:
    assert piece_size(CPU) == 1 << 20
    assert piece_size(CPU, itemsize=8, cache=1 << 10) == 1 << 7
    assert piece_size(CPU, itemsize=8, cache=1) == 1
    assert free_memory(CPU) is None


def test_elsewhere_it_takes_part_of_the_free_memory() -> None:
    with card(free=8 << 30, reserved=3 << 30, allocated=1 << 30):
        assert free_memory(CUDA) == 10 << 30  # what torch holds in reserve is free, too
        assert piece_size(CUDA) == (10 << 30) // 4 // 4
    with card(free=0, reserved=0, allocated=0):
        assert piece_size(CUDA) == 1 << 20


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_memory_that_cannot_be_asked(device: str) -> None:
    with mock.patch("torch.cuda.is_available", return_value=False):
        assert free_memory(torch.device(device)) is None
        assert piece_size(torch.device(device)) == (1 << 31) // 4


def test_what_is_compiled_is_not_cut() -> None:
    with mock.patch("torch.compiler.is_compiling", return_value=True):
        assert piece_size(CPU) == sys.maxsize
