"""Loader workers that outlive a signal to the whole job."""

import multiprocessing
import os
import signal
import threading
import warnings

from mmengine.registry import FUNCTIONS
from torch.utils.data import DataLoader

_FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


@FUNCTIONS.register_module()
def leave_signals_to_main(worker_id: int, disable_subprocess_warning: bool = False) -> None:
    """Leave SIGINT and SIGTERM to the main process, as a loader worker's `worker_init_fn`.

    Terminals and schedulers signal every process of a job. A worker that dies of it takes the
    training with it, before the main process can save. SIGTERM ends a worker only if its parent
    sent it, which is how a data loader gets rid of one.

    Args:
        worker_id: number of the worker.
        disable_subprocess_warning: show warnings of the first worker only, as in mmengine.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS and Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_for_parent, args=(os.getppid(),), daemon=True).start()
    if disable_subprocess_warning and worker_id != 0:
        warnings.simplefilter("ignore")


def shield_workers(loader: dict) -> None:
    """Let a data loader's config start its workers with `leave_signals_to_main`, in place.

    One with a `worker_init_fn` of its own keeps it.
    """
    if loader.get("num_workers", 0) and "worker_init_fn" not in loader:
        loader["worker_init_fn"] = dict(type="leave_signals_to_main")
        if "disable_subprocess_warning" in loader:
            disable = loader.pop("disable_subprocess_warning")
            loader["worker_init_fn"]["disable_subprocess_warning"] = disable


def shield_starts(loader: DataLoader) -> None:
    """Let a data loader start workers that no SIGTERM ends before `leave_signals_to_main` runs.

    Those that start by another way than `fork` take seconds to start, and are left as they are.
    """
    shielded = getattr(loader.worker_init_fn, "func", None) is leave_signals_to_main
    if shielded and _FORK is not None and loader.multiprocessing_context is None:
        if multiprocessing.get_start_method() == "fork":
            loader.multiprocessing_context = _ShieldedFork()


if _FORK is not None:

    class _ShieldedProcess(_FORK.Process):
        """A process that starts with SIGTERM blocked; what arrives meanwhile is not lost."""

        def start(self) -> None:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            try:
                super().start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    class _ShieldedFork(type(_FORK)):
        Process = _ShieldedProcess


def _end_for_parent(parent: int) -> None:
    """Wait for the parent's SIGTERM, and end this process."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        pass
    os._exit(128 + signal.SIGTERM)
