"""How far a job is: a bar on a terminal, a line a minute in a log."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

#: Seconds between lines where there is no terminal.
_INTERVAL = 60.0


class JobProgress:
    """Shows how many pictures are done, how many a second, and how long the others will take.

    Args:
        total: number of pictures.
        quiet: show nothing.
        console: where to; by default the error stream.
    """

    def __init__(self, total: int, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, quiet=quiet)
        self._total, self._done = total, 0
        self._start = self._said = time.monotonic()
        self._bar = Progress(
            TextColumn("Predicting"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> "JobProgress":
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def advance(self, count: int = 1) -> None:
        """Count pictures that are done."""
        self._done += count
        self._bar.advance(self._task, count)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._said >= _INTERVAL:
            self._said = now
            self._console.print(self.line(now - self._start), soft_wrap=True, highlight=False)

    def line(self, seconds: float) -> str:
        """Say how far it is after so many seconds."""
        rate = self._done / max(seconds, 1e-9)
        left = (self._total - self._done) / rate if self._done else float("inf")
        return (
            f"{self._done} of {self._total} pictures, {format_rate(rate)}, "
            f"{format_seconds(left)} left"
        )


class _Rate(ProgressColumn):
    """Pictures a second."""

    def render(self, task: Task) -> Text:
        """Show it."""
        return Text("" if task.speed is None else format_rate(task.speed))


def format_rate(rate: float) -> str:
    """Write a number of pictures a second, or a minute where that is less than one."""
    return f"{rate:.1f} pictures/s" if rate >= 1 else f"{60 * rate:.1f} pictures/min"


def format_seconds(seconds: float) -> str:
    """Write a time as hours, minutes and seconds."""
    if seconds == float("inf"):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
