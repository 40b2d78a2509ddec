"""Training data that can be had from any iteration on."""

import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, DataLoader, Dataset

from mmseg_pointrend.datasets import draws
from mmseg_pointrend.datasets.draws import (
    Draw,
    NumberedBatchSampler,
    SeededDataset,
    make_repeatable,
    seed_everything,
)


class Noise(Dataset):
    """Items that are their index and random numbers of three kinds."""

    metainfo = dict(classes=("a",))

    def __init__(self, length: int = 7) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> list[float]:
        return [index, random.random(), np.random.rand(), float(torch.rand(()))]


def passes(sampler: NumberedBatchSampler, number: int) -> list[list[Draw]]:
    """Take the batches of some passes, as an epoch loop does; or so many of an infinite one."""
    if isinstance(sampler.sampler, InfiniteSampler):
        return list(itertools.islice(sampler, number * len(sampler)))
    return [batch for _ in range(number) for batch in sampler]


@given(
    length=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    drop_last=st.booleans(),
    infinite=st.booleans(),
    start=st.integers(0, 9),
)
def test_a_later_start_gives_the_rest(length, batch_size, drop_last, infinite, start) -> None:
    def make(start: int) -> NumberedBatchSampler:
        kind = InfiniteSampler if infinite else DefaultSampler
        sampler = kind(Noise(length), shuffle=True, seed=3)
        return NumberedBatchSampler(sampler, batch_size, drop_last, start=start)

    whole = passes(make(0), 12)
    rest = passes(make(start), 12)
    assert len(make(start)) == len(make(0))
    if whole:
        # An epoch that was begun is finished first: as many batches fewer.
        shared = whole[start:]
        assert rest[: len(shared)] == shared[: len(rest)]
        assert len(rest) >= min(1, len(shared))


def test_epochs_are_shuffled_anew_and_numbered_on() -> None:
    sampler = NumberedBatchSampler(DefaultSampler(Noise(6), seed=3), batch_size=4)
    first, second = list(sampler), list(sampler)
    assert [len(batch) for batch in first] == [4, 2]
    assert sorted(draw.index for batch in second for draw in batch) == list(range(6))
    assert [d.index for b in first for d in b] != [d.index for b in second for d in b]
    numbers = [draw.number for batch in first + second for draw in batch]
    assert numbers == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]


def shares(world_size: int, infinite: bool, length: int, batch: int, start: int = 0) -> list:
    """Take ten iterations' draws of every process, which share batches of that size."""
    kind, found = InfiniteSampler if infinite else DefaultSampler, []
    for rank in range(world_size):
        with pytest.MonkeyPatch.context() as patch:
            for module in (vars(draws), kind.__init__.__globals__):
                patch.setitem(module, "get_dist_info", lambda rank=rank: (rank, world_size))
            sampler = kind(Noise(length), seed=1)
            numbered = NumberedBatchSampler(sampler, batch // world_size, start=start)
            again = itertools.chain.from_iterable(itertools.repeat(numbered))
            found.append(list(itertools.islice(again, 10 - start)))
    return found


@given(
    world_size=st.sampled_from([2, 3, 4]),
    before=st.sampled_from([1, 2, 3, 4]),
    infinite=st.booleans(),
    length=st.integers(1, 40),
    done=st.integers(0, 9),
)
def test_processes_share_the_draws_of_one(world_size, before, infinite, length, done) -> None:
    """Whatever their number, also where another number of processes was before."""
    (whole,) = shares(1, infinite, length, 12)
    first = shares(before, infinite, length, 12)
    then = shares(world_size, infinite, length, 12, start=done)
    together = [
        *zip(*(share[:done] for share in first), strict=True),
        *zip(*then, strict=True),
    ]
    assert len(whole) == len(together) == 10
    for batch, parts in zip(whole, together, strict=True):
        drawn = list(itertools.chain(*parts))
        assert len(set(drawn)) == len(drawn) and set(batch) <= set(drawn)
        # The end of a pass is filled up, so that all processes have as many.
        more = len(drawn) - len(batch)
        assert more == 0 or (not infinite and len(batch) < 12 and more < max(before, world_size))


def test_another_batch_sampler_is_numbered() -> None:
    class Pairs(BatchSampler):
        """Pairs of equal parity."""

        def __iter__(self):
            waiting = {0: [], 1: []}
            for index in self.sampler:
                waiting[index % 2].append(index)
                if len(waiting[index % 2]) == self.batch_size:
                    yield waiting[index % 2]
                    waiting[index % 2] = []

    DATA_SAMPLERS.register_module(name="Pairs", module=Pairs, force=True)
    config = dict(type="Pairs", drop_last=True)
    sampler = DefaultSampler(Noise(8), seed=2)
    found = list(NumberedBatchSampler(sampler, 2, batches=config, start=1))
    whole = list(NumberedBatchSampler(sampler, 2, batches=config))
    assert found == whole[1:]
    assert all(len({draw.index % 2 for draw in batch}) == 1 for batch in whole)


@pytest.mark.parametrize("start", [0, 5])
def test_data_do_not_depend_on_workers_or_on_what_was_drawn_before(start: int) -> None:
    def load(workers: int, start: int) -> list:
        sampler = NumberedBatchSampler(InfiniteSampler(Noise(), seed=4), 3, start=start)
        loader = DataLoader(
            SeededDataset(Noise()), batch_sampler=sampler, num_workers=workers, collate_fn=list
        )
        random.seed(workers), np.random.seed(workers), torch.manual_seed(workers)
        return list(itertools.islice(loader, 9 - start))

    whole = load(0, 0)
    assert load(0, start) == load(2, start) == whole[start:]
    numbers = [value for batch in whole for item in batch for value in item[1:]]
    assert len(set(numbers)) == len(numbers)


def test_everything_else_is_the_inner_data_sets() -> None:
    dataset = SeededDataset(Noise(5))
    assert (len(dataset), dataset.metainfo, dataset.length) == (5, Noise.metainfo, 5)
    again = pickle.loads(pickle.dumps(dataset))
    assert again[Draw(2, seed=1, number=9)] == dataset[Draw(2, seed=1, number=9)]
    assert dataset[3][0] == 3
    with pytest.raises(AttributeError, match="colour"):
        dataset.colour  # noqa: B018


def test_seeds_differ_by_every_part() -> None:
    def drawn(*parts: int) -> tuple:
        seed_everything(*parts)
        return random.random(), np.random.rand(), float(torch.rand(()))

    assert drawn(1, 2) == drawn(1, 2)
    different = [drawn(*parts) for parts in ((1, 2), (2, 1), (1, 3), (1,), (1, 2, 1), (2**40, 2))]
    assert len({value for values in different for value in values}) == 3 * len(different)


def test_a_loaders_config_is_made_repeatable_once() -> None:
    loader = dict(batch_size=2, drop_last=True, dataset=dict(type="A"), sampler=dict(type="S"))
    make_repeatable(loader)
    make_repeatable(loader, start=8)
    assert loader == dict(
        batch_size=2,
        dataset=dict(type="SeededDataset", dataset=dict(type="A")),
        sampler=dict(type="S"),
        batch_sampler=dict(type="NumberedBatchSampler", start=8, drop_last=True),
    )
    built = dict(dataset=Noise())
    make_repeatable(built)
    assert set(built) == {"dataset"}
