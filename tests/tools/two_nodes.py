"""Two machines on one: python -m tests.tools.two_nodes trains on both of them.

They are network namespaces with a cable between them, so that a process reaches the other machine
by its address alone. To make them takes Linux, root rights and the program `ip`.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engine.kills import write_config
from tests.tools.commands import ROOT, run_side_by_side

ADDRESSES = ("10.213.7.1", "10.213.7.2")
CABLE = "cable0"
ITERATIONS = 6


@contextmanager
def two_nodes() -> Iterator[list[list[str]]]:
    """Make two network namespaces that reach each other and nothing else.

    Yields:
        for each what to put before a command that is to run in it.

    Raises:
        PermissionError: if they cannot be made, with the reason.
    """
    names = [f"pointrend-{os.getpid()}-{number}" for number in range(2)]
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip(
            *("link", "add", CABLE, "netns", names[0], "type", "veth"),
            *("peer", "name", CABLE, "netns", names[1]),
        )
        for name, address in zip(names, ADDRESSES, strict=True):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", CABLE)
            for device in ("lo", CABLE):
                _ip("-n", name, "link", "set", device, "up")
            _ip("netns", "exec", name, "true")
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def train_on_two_nodes(nodes: list[list[str]], config: Path, work_dir: Path) -> list[str]:
    """Train with one process on each node; return what each node wrote.

    Args:
        nodes: what to put before their commands, as `two_nodes` gives it. Two empty lists: both are
            this machine.
        config: what to train.
        work_dir: both nodes see it.
    """
    alone = not nodes[0]
    meeting = ["NNODES=2", f"MASTER_ADDR={'127.0.0.1' if alone else ADDRESSES[0]}"]
    if not alone:
        # This machine's name has no address in a namespace.
        meeting.append(f"GLOO_SOCKET_IFNAME={CABLE}")
    else:
        meeting.append(f"PORT={20000 + os.getpid() % 10000}")
    done = run_side_by_side(
        *(
            [
                *(*node, "env", *meeting, f"NODE_RANK={number}"),
                *(ROOT / "tools/dist_train.sh", config, 1, "--work-dir", work_dir),
            ]
            for number, node in enumerate(nodes)
        ),
        cwd=work_dir.parent,
    )
    return [process.stdout + process.stderr for process in done]


def _ip(*arguments: str) -> None:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise PermissionError("there is no program ip") from error
    if done.returncode:
        raise PermissionError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def main() -> None:
    """Train on two nodes, and show what they wrote."""
    with tempfile.TemporaryDirectory() as name:
        config = write_config(Path(name), ITERATIONS)
        try:
            with two_nodes() as nodes:
                written = train_on_two_nodes(nodes, config, Path(name) / "work")
        except PermissionError as error:
            sys.exit(f"no two nodes: {error}")
        for number, text in enumerate(written):
            print(f"--- node {number}\n{text}")
        print(f"trained: {sorted(path.name for path in Path(name).glob('work/*.pth'))}")


if __name__ == "__main__":
    main()
