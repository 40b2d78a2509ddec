"""Running the tools: as processes, or within this one, which saves seconds of imports."""

import os
import runpy
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer

ROOT = Path(__file__).parents[2]


#: A command that takes longer hangs, as ranks do that wait for each other.
MOST_SECONDS = 400


class Completed(subprocess.CompletedProcess):
    """A command that has ended, and when: as `time.time` counts."""

    ended: float


def run(*command: object, cwd: Path, fails: bool = False) -> Completed:
    """Run a command from another folder than the clone, one thread a process.

    All that it and its children wrote is in the error if it fails or hangs.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(os.environ, OMP_NUM_THREADS="1", PYTHON=sys.executable),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, errors = process.communicate(timeout=MOST_SECONDS)
        ended = f"exit status {process.returncode}"
    except subprocess.TimeoutExpired:
        process.terminate()  # not killed: torchrun ends its ranks
        output, errors = process.communicate()
        ended, fails = f"no end after {MOST_SECONDS} s", False
    completed = Completed(process.args, process.returncode, output, errors)
    completed.ended = time.time()
    if not fails:
        written = f"{output}\n--- stderr ---\n{errors}"
        assert ended == "exit status 0", f"{command[0]}: {ended}\n{written}"
    return completed


def run_side_by_side(
    *commands: Sequence[object], cwd: Path, fails: bool = False
) -> list[Completed]:
    """Run several commands at once, each as `run` does."""
    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(lambda command: run(*command, cwd=cwd, fails=fails), commands))


def tool(name: str, *arguments: object, cwd: Path, **kwargs: bool) -> Completed:
    """Run a tool as a process."""
    return run(sys.executable, ROOT / "tools" / name, *arguments, cwd=cwd, **kwargs)


def forget_runs() -> None:
    """Forget what mmengine keeps of earlier runs by name: a name holds the time to the second."""
    for kind in (MMLogger, MessageHub, Visualizer, *Visualizer.__subclasses__()):
        kind._instance_dict.clear()


class ToolCaller:
    """Runs tools in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, name: str, *arguments: object) -> str:
        """Run a tool that succeeds; return what it printed and logged."""
        self._capfd.readouterr()
        try:
            self._run(name, arguments)
        except SystemExit as end:  # as by --help
            assert not end.code
        return "".join(self._capfd.readouterr())

    def fail(self, name: str, *arguments: object) -> str:
        """Run a tool that ends with status 2; return its errors and warnings."""
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            self._run(name, arguments)
        assert stopped.value.code == 2
        return self._capfd.readouterr().err

    def status(self, name: str, *arguments: object) -> int:
        """Run a tool; return its exit status."""
        try:
            self._run(name, arguments)
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    def _run(self, name: str, arguments: tuple) -> None:
        path = str(ROOT / "tools" / name)
        forget_runs()
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [path, *map(str, arguments)])
            runpy.run_path(path, run_name="__main__")
