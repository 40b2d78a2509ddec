"""Batches again and again: the batch of a number is the same, wherever one begins."""

from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmseg_pointrend.retrofit.batches import endless, mixed_seed


class Noisy(Dataset):
    """Five items, each with random noise, as transforms make it."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return index + torch.rand(3), torch.tensor(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_follows_from_its_number(workers: int) -> None:
    loader = DataLoader(Noisy(), batch_size=2, shuffle=True, num_workers=workers)
    whole = list(islice(endless(loader, seed=3), 8))
    assert {int(i) for _, labels in whole[:3] for i in labels} == set(range(5))
    for first in (1, 4):
        for found, expected in zip(endless(loader, first, seed=3), whole[first:], strict=False):
            assert torch.equal(found[0], expected[0])
            assert torch.equal(found[1], expected[1])
    other = next(endless(loader, seed=4))
    assert not torch.equal(other[0], whole[0][0])


def test_torchs_own_random_numbers_go_on_as_if_nothing_was_drawn() -> None:
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    source = endless(DataLoader(Noisy(), shuffle=True))
    drawn = [torch.rand(1), torch.rand(1)]
    next(source)
    drawn += [torch.rand(1), torch.rand(1)]
    assert torch.equal(torch.cat(drawn), expected)


def test_passes_that_are_over_are_not_made_again() -> None:
    made = []

    class Counted(list):
        def __iter__(self):
            for item in super().__iter__():
                made.append(item)
                yield item

    assert next(endless(Counted("abc"), first=301)) == "b"
    assert made == ["a", "b"]


@pytest.mark.parametrize(("batches", "after"), [([], 0), (iter("ab"), 2)])
def test_what_gives_no_batch_is_refused(batches: object, after: int) -> None:
    with pytest.raises(ValueError, match=f"no batch after {after}: it must be an iterable"):
        list(islice(endless(batches), 3))


def test_seeds_do_not_meet() -> None:
    found = {mixed_seed(seed, number) for seed in range(50) for number in range(200)}
    assert len(found) == 50 * 200
    assert all(0 <= seed < 2**63 for seed in found)
