"""Values of several groups, as many as each group has, laid side by side."""

from typing import NamedTuple

import torch
from torch import Tensor


class Slots(NamedTuple):
    """Where each value lies in a table with a row for each group.

    Attributes:
        row: (M,), its group.
        column: (M,), how many of its group come before it.
        shape: (number of groups, size of the largest).
    """

    row: Tensor
    column: Tensor
    shape: tuple[int, int]

    def table(self, values: Tensor, fill: float) -> Tensor:
        """Lay (M, ...) values out: (groups, largest, ...); rows that are short end in `fill`."""
        found = values.new_full((*self.shape, *values.shape[1:]), fill)
        found[self.row, self.column] = values
        return found


def find_slots(groups: Tensor, num_groups: int) -> Slots:
    """Give every value a place, in the order in which they come.

    Args:
        groups: (M,), int64, the group of each value, in [0, num_groups).
        num_groups: how many groups there are; some may be empty.

    Raises:
        ValueError: for a group out of range.
    """
    counts = torch.bincount(groups, minlength=num_groups)
    if len(counts) > num_groups:
        raise ValueError(f"a group must lie in [0, {num_groups}), got {len(counts) - 1}")
    order = groups.argsort(stable=True)
    first = counts.cumsum(0) - counts
    column = torch.empty_like(groups)
    column[order] = torch.arange(len(groups), device=groups.device) - first[groups[order]]
    largest = int(counts.max()) if num_groups else 0
    return Slots(groups, column, (num_groups, largest))
