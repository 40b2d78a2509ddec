"""Jobs of two ranks one after another, under load: python -m tests.tools.two_rank_runs --runs 50.

Each is a training as tools/dist_train.sh starts it. Beside them run processes that do nothing but
count, as many as there are cores unless told otherwise.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engine.kills import write_config
from tests.tools.commands import ROOT, run

ITERATIONS = 6


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """Keep so many cores busy."""
    burners = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(processes)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.join()


def _burn() -> None:
    count = 0
    while True:
        count += 1


def train_once(config: Path, work_dir: Path) -> str | None:
    """Train with two ranks; return what went wrong, None if nothing did."""
    try:
        run(ROOT / "tools/dist_train.sh", config, 2, "--work-dir", work_dir, cwd=work_dir.parent)
    except AssertionError as error:
        return str(error)
    written = work_dir / f"iter_{ITERATIONS}.pth"
    return None if written.is_file() else f"{written} is missing"


def main() -> None:
    """Train again and again; exit with 1 if a training failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="default: %(default)s")
    parser.add_argument(
        "--burners", type=int, default=os.cpu_count(), help="busy processes; default: %(default)s"
    )
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name, burning(args.burners):
        config = write_config(Path(name), ITERATIONS)
        for number in range(1, args.runs + 1):
            start = time.monotonic()
            fault = train_once(config, Path(name) / f"work{number}")
            failed += fault is not None
            seconds, load = time.monotonic() - start, os.getloadavg()[0]
            end = "done" if fault is None else f"FAILED: {fault}"
            print(f"run {number:3d}  {seconds:6.1f} s  load {load:4.1f}  {end}", flush=True)
    print(f"{args.runs} runs, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
