"""SIGTERM for a process that has started others."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def exit_when_terminated() -> Iterator[None]:
    """Let SIGTERM end this process as Ctrl-C does, so that `finally` ends what it has started.

    In a thread other than the main one, where signals cannot be handled, nothing is changed.

    Raises:
        SystemExit: in the context, when SIGTERM comes; its code is that of a shell, 143.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
