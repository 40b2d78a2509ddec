"""Training data as a function of seed and iteration: what makes a resumed training exact.

A draw is one picture for one place of one batch. Its random numbers (crop, flip, colours) follow
from the seed and from its number alone, not from what was drawn before it. So the data of a later
iteration can be had without loading those of earlier ones, and they are the same with any number
of loader workers, and with any number of processes that share the same global batch.
"""

import random
from collections.abc import Iterator, Sized
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import BatchSampler, Dataset, Sampler


class Draw(NamedTuple):
    """An item of a data set, and what its random numbers follow from.

    Attributes:
        index: which item.
        seed: of the training.
        number: of the draw, counted over batches and processes.
    """

    index: int
    seed: int
    number: int


def seed_everything(*parts: int) -> None:
    """Seed Python's, numpy's and torch's random numbers, on every device.

    Args:
        parts: integers >= 0; other parts, other random numbers.
    """
    state = np.random.SeedSequence(parts).generate_state(4)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))
    torch.manual_seed(int(state[2]) << 32 | int(state[3]))


@DATA_SAMPLERS.register_module()
class NumberedBatchSampler(Sampler):
    """Batches of `Draw`s, from any iteration on.

    Args:
        sampler: gives this process its share of indices.
        batch_size: draws a batch.
        drop_last: leave out a last, smaller batch.
        batches: config of another batch sampler that groups the indices (by aspect ratio, say);
            by default they are taken as they come.
        start: iterations that are done; their batches are passed over.
    """

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        drop_last: bool = False,
        batches: dict | None = None,
        start: int = 0,
    ) -> None:
        if batches is None:
            self.batches = BatchSampler(sampler, batch_size, drop_last)
        else:
            given = dict(sampler=sampler, batch_size=batch_size)
            self.batches = DATA_SAMPLERS.build(batches, default_args=given)
        # mmengine looks for them here.
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last
        self._seed = int(getattr(sampler, "seed", 0))
        self._iteration, self._to_pass_over, self._passes = start, start, 0

    def __len__(self) -> int:
        """Count the batches of one pass over the data."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Draw]]:
        """Give the batches of one pass; of an infinite sampler all."""
        given = False
        while not given:
            if hasattr(self.sampler, "set_epoch"):
                self.sampler.set_epoch(self._passes)
            self._passes += 1
            empty = True
            for batch in self.batches:
                empty = False
                if self._to_pass_over > 0:
                    self._to_pass_over -= 1
                    continue
                given = True
                yield self._number(batch)
            if empty:
                return

    def _number(self, batch: list[int]) -> list[Draw]:
        """Number the draws of the next batch as one process would that drew for all."""
        rank, world_size = get_dist_info()
        first = self._iteration * self.batch_size * world_size + rank
        self._iteration += 1
        return [
            Draw(index, self._seed, first + place * world_size) for place, index in enumerate(batch)
        ]


@DATASETS.register_module()
class SeededDataset(Dataset):
    """A data set that seeds all random numbers for the `Draw` it is asked for.

    Everything else is the inner data set's: its length, its metainfo, what samplers ask of it.

    Args:
        dataset: the inner data set, or its config.
    """

    def __init__(self, dataset: BaseDataset | Sized | dict) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    def __len__(self) -> int:
        """Count the items."""
        return len(self.dataset)

    def __getitem__(self, item: Draw | int) -> Any:
        """Give an item, by a draw or by its index alone."""
        if isinstance(item, Draw):
            seed_everything(item.seed, item.number)
            item = item.index
        return self.dataset[item]

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # while unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)


def make_repeatable(loader: dict, start: int = 0) -> None:
    """Let a training data loader's config give `Draw`s, in place.

    Args:
        loader: `train_dataloader`; one that is repeatable already only gets its `start`.
        start: iterations that are done.
    """
    if is_repeatable(loader):
        loader["batch_sampler"]["start"] = start
        return
    if not isinstance(loader.get("dataset"), dict):
        return
    sampler = dict(type="NumberedBatchSampler", start=start)
    if loader.get("batch_sampler"):
        sampler["batches"] = loader["batch_sampler"]
    if "drop_last" in loader:
        sampler["drop_last"] = loader.pop("drop_last")
    loader["batch_sampler"] = sampler
    loader["dataset"] = dict(type="SeededDataset", dataset=loader["dataset"])


def is_repeatable(loader: dict) -> bool:
    """Whether `make_repeatable` has been at a loader's config."""
    sampler = loader.get("batch_sampler")
    return isinstance(sampler, dict) and sampler.get("type") == "NumberedBatchSampler"
