"""Processes forked from one that has imported everything: to start them takes no time."""

import datetime
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

# What a training imports late, and each fork would import by itself.
import matplotlib.pyplot  # noqa: F401
import torch
import torch._dynamo

#: Ranks that take longer wait for each other.
MOST_SECONDS = 120


def start(log: Path, function: Callable, *arguments: object, **keywords: object) -> int:
    """Fork a process that calls a function; return its number.

    Its exit status is that of the function's SystemExit, 1 after another error, else 0.

    Args:
        log: what it writes is added to it.
        function: called with the other arguments.
        *arguments: for the function.
        **keywords: for the function.
    """
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        os.setsid()
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        # pytest has put others in their place.
        sys.stdout = os.fdopen(1, "w", buffering=1)
        sys.stderr = os.fdopen(2, "w", buffering=1)
        torch.set_num_threads(1)
        function(*arguments, **keywords)
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def finish(number: int) -> int:
    """Wait for a process; return its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


class Ranks:
    """Processes that are joined by gloo, all of one machine.

    Args:
        folder: where they meet, and write their logs.
        count: how many.
        function: called in each, with the other arguments.
        *arguments: for the function.
        **keywords: for the function.
    """

    def __init__(
        self, folder: Path, count: int, function: Callable, *arguments: object, **keywords: object
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ranks-", dir=folder))
        self._running = {
            start(self._log(rank), self._join, rank, count, function, arguments, keywords): rank
            for rank in range(count)
        }
        self.numbers = list(self._running)

    def finish(self, seconds: float = MOST_SECONDS) -> list[int]:
        """Wait for all; return their exit statuses, negative for a signal.

        Those that are left after so many seconds are killed.
        """
        statuses, end = [0] * len(self.numbers), time.monotonic() + seconds
        while self._running:
            number, status = self._ended()
            if number:
                statuses[self._running.pop(number)] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                for left in self._running:
                    os.kill(left, signal.SIGKILL)
                end = float("inf")
            else:
                time.sleep(0.01)
        return statuses

    def wait_for(self, text: str) -> None:
        """Wait until a rank has written something, while all run."""
        end = time.monotonic() + MOST_SECONDS
        while text not in self.written():
            number, status = self._ended()
            assert not number and time.monotonic() < end, self.written()
            time.sleep(0.05)

    def written(self) -> str:
        """Return what the ranks have written."""
        logs = sorted(self._folder.glob("rank*.log"))
        return "\n".join(f"--- {log.stem}\n{log.read_text()}" for log in logs)

    def _log(self, rank: int) -> Path:
        return self._folder / f"rank{rank}.log"

    def _ended(self) -> tuple[int, int]:
        for number in self._running:
            ended = os.waitpid(number, os.WNOHANG)
            if ended[0]:
                return ended
        return 0, 0

    def _join(
        self, rank: int, count: int, function: Callable, arguments: tuple, keywords: dict
    ) -> None:
        names = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=count)
        os.environ.update({name: str(value) for name, value in names.items()})
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"file://{self._folder}/meeting",
            rank=rank,
            world_size=count,
            timeout=datetime.timedelta(seconds=MOST_SECONDS),
        )
        function(*arguments, **keywords)
        torch.distributed.destroy_process_group()


def run_ranks(
    folder: Path, count: int, function: Callable, *arguments: object, **keywords: object
) -> str:
    """Call a function in so many ranks, see `Ranks`; return what they wrote, once all succeeded."""
    ranks = Ranks(folder, count, function, *arguments, **keywords)
    statuses = ranks.finish()
    assert statuses == [0] * count, f"exit statuses {statuses}\n{ranks.written()}"
    return ranks.written()
