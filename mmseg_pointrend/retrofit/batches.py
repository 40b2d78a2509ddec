"""Batches again and again, in an order that follows from a seed."""

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

#: (N, 3, H, W) images, or what a network has made of them, and their (N, H, W) labels.
Batch = tuple[Any, Tensor]

#: What no batch is.
_END: Any = object()


def endless(batches: Iterable[Batch], first: int = 0, seed: int = 0) -> Iterator[Batch]:
    """Go through batches, and when they end through them again.

    Whatever draws from torch's random numbers on the CPU while a batch is made (the order of a
    `DataLoader`, its workers, transforms) draws what follows from the seed and the batch's number.
    So the batch of a number is the same whether the ones before it were made or not. Batches of
    which the number is known (`len`) are not made again to be passed over, but for those of the
    pass that `first` lies in.

    Args:
        batches: any iterable; to be gone through more than once it must be no iterator.
        first: number of the first batch to give, from 0.
        seed: of the random numbers.

    Yields:
        batches, without an end.

    Raises:
        ValueError: if a pass through the batches gives none.

    Example:
        >>> numbers = endless(["a", "b", "c"], first=4)
        >>> [next(numbers) for _ in range(3)]
        ['b', 'c', 'a']
    """
    number = 0
    if isinstance(batches, Sized) and len(batches):
        number = first - first % len(batches)
    while True:
        start = number
        with _seeded(seed, number):
            source = iter(batches)
        while True:
            with _seeded(seed, number):
                batch = next(source, _END)
            if batch is _END:
                break
            if number >= first:
                yield batch
            number += 1
        if number == start:
            raise ValueError(
                f"batches gave no batch after {number}: it must be an iterable that can be gone "
                "through again, such as a list or a DataLoader, and not be empty"
            )


@contextmanager
def _seeded(seed: int, number: int) -> Iterator[None]:
    """Let torch's random numbers on the CPU follow from a seed and a number, and then go on."""
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(mixed_seed(seed, number))
    try:
        yield
    finally:
        generator.set_state(state)


def mixed_seed(seed: int, number: int) -> int:
    """Make one seed of a seed and a number, in [0, 2^63): neighbours' are far apart.

    Example:
        >>> mixed_seed(0, 1) == mixed_seed(1, 0)
        False
    """
    # An odd factor for each, and the middle bits folded in (as SplitMix64 does).
    mixed = (seed * 0x9E3779B97F4A7C15 + (number + 1) * 0xBF58476D1CE4E5B9) % (1 << 64)
    mixed ^= mixed >> 31
    return (mixed * 0x94D049BB133111EB) % (1 << 63)
