"""Which pictures are this process's: processes share a list without talking to each other."""

import os
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple, TypeVar

import torch

Item = TypeVar("Item")


class Share(NamedTuple):
    """One of several equal shares of a list.

    Attributes:
        number: which, from 0.
        total: how many there are.
    """

    number: int = 0
    total: int = 1

    def of(self, items: Sequence[Item]) -> list[Item]:
        """Take every `total`-th item, from `number` on."""
        return list(items[self.number :: self.total])

    def inner(self, share: "Share") -> "Share":
        """Take a share of this share."""
        return Share(self.number + self.total * share.number, self.total * share.total)

    def __str__(self) -> str:
        """Write it as `--share` reads it."""
        return f"{self.number}/{self.total}"


def parse_share(text: str) -> Share:
    """Read a share: `K/N`, K from 0 to N - 1.

    Raises:
        ValueError: for anything else.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    share = Share(*map(int, found.groups())) if found else None
    if share is None or share.number >= share.total:
        raise ValueError(f"share must be K/N with K from 0 to N - 1, as 0/4 to 3/4, got {text}")
    return share


def launched_share() -> Share:
    """Read which of its processes this one is for a launcher, such as torchrun.

    Raises:
        ValueError: for RANK and WORLD_SIZE in the environment that make no sense.
    """
    rank, world_size = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    if not rank or not world_size:
        return Share()
    try:
        return parse_share(f"{rank}/{world_size}")
    except ValueError as error:
        raise ValueError(
            f"RANK must lie in [0, WORLD_SIZE - 1], got RANK={rank}, WORLD_SIZE={world_size}"
        ) from error


def wait_for_others() -> None:
    """Wait until all processes of a torchrun job are here; elsewhere, do nothing.

    torchrun ends all processes when one ends with an error, as one does that has met a bad file.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or launched_share().total == 1:
        return
    torch.distributed.init_process_group("gloo", timeout=timedelta(days=365))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
