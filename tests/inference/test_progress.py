"""How far a job is, in words."""

import io
import re

import pytest
from rich.console import Console

from mmseg_pointrend.inference import progress as progress_module
from mmseg_pointrend.inference.progress import JobProgress, format_rate, format_seconds


def test_words() -> None:
    assert format_rate(12.34) == "12.3 pictures/s" and format_rate(0.05) == "3.0 pictures/min"
    assert format_seconds(3725.4) == "1:02:05" and format_seconds(float("inf")) == "?"
    shown = JobProgress(10, quiet=True)
    shown.advance(4)
    assert shown.line(8.0) == "4 of 10 pictures, 30.0 pictures/min, 0:00:12 left"
    assert JobProgress(10, quiet=True).line(8.0).endswith("0.0 pictures/min, ? left")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_log_gets_lines_and_a_terminal_a_bar(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_INTERVAL", 0.0)
    for quiet in (False, True):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, width=120, quiet=quiet)
        with JobProgress(3, console=console) as shown:
            shown.advance()
            shown.advance()
        lines = re.findall(
            r"\d of 3 pictures, [\d.]+ pictures/s, 0:00:00 left\n", stream.getvalue()
        )
        assert len(lines) == (0 if quiet or terminal else 2)
        assert ("Predicting" in stream.getvalue()) == (terminal and not quiet)
