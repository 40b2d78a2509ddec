"""Loader workers and signals: real processes."""

import os
import signal
from functools import partial

import pytest
from torch.utils.data import DataLoader, Dataset

from mmseg_pointrend.datasets import workers
from mmseg_pointrend.datasets.workers import leave_signals_to_main, shield_starts


class Numbers(Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        return index


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_a_worker_starts(monkeypatch: pytest.MonkeyPatch, number) -> None:
    """It comes as early as it can, between the fork and the worker's first own step."""

    def begin(worker_id: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        leave_signals_to_main(worker_id)
        os.kill(os.getpid(), number)

    loader = DataLoader(
        Numbers(), batch_size=2, num_workers=2, worker_init_fn=partial(leave_signals_to_main)
    )
    shield_starts(loader)
    monkeypatch.setattr(loader, "worker_init_fn", begin)
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3]]
    # The main process hears signals as before.
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_other_loaders_are_left_alone() -> None:
    for loader in (DataLoader(Numbers()), DataLoader(Numbers(), num_workers=1)):
        shield_starts(loader)
        assert loader.multiprocessing_context is None
    assert issubclass(workers._ShieldedFork.Process, workers._FORK.Process)
