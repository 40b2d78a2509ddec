"""The checkpoints of a run: which are complete, which is the newest, how far each has come."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmengine.logging import print_log

from mmseg_pointrend.compat.checkpoints import load_from_local

_NAME = re.compile(r"(?:iter|epoch)_(\d+)\.pth")


def check_checkpoint(path: str | Path) -> None:
    """Raise FileNotFoundError, in one line, if a local checkpoint does not exist."""
    if "://" not in str(path) and not Path(path).is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist")


class Progress(NamedTuple):
    """How far a training has come.

    Attributes:
        checkpoint: the file.
        iteration: iterations done.
        seed: of its random numbers; None if unknown.
    """

    checkpoint: Path
    iteration: int
    seed: int | None


def find_newest(folder: str | Path) -> Path | None:
    """Find the newest complete checkpoint of a run.

    That is the one which `last_checkpoint` names, or one written since; the file is looked for
    beside it, too, in case the folder has moved. Where it is damaged, the next older one.

    Args:
        folder: work dir of the run.

    Returns:
        the checkpoint; None if there is none at all.

    Raises:
        ValueError: if there are checkpoints, all damaged.
    """
    damaged = None
    for path in _newest_first(Path(folder)):
        fault = find_damage(path)
        if fault is None:
            if damaged is not None:
                print_log(f"going on from {path} instead", logger="current")
            return path
        damaged = f"checkpoint {path} is damaged: {fault}"
        print_log(damaged, logger="current")
    if damaged is not None:
        raise ValueError(f"{damaged}; no complete one is left in {folder}: delete it to start anew")
    return None


def find_damage(path: Path) -> str | None:
    """Find out what is wrong with a checkpoint file: read it, and compare its checksums.

    Returns:
        one clause; None if it is complete.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError) as error:
        return str(error)
    return broken and f"{broken} does not fit its checksum"


def read_progress(path: str | Path) -> Progress:
    """Read how far a checkpoint has come.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a checkpoint that is damaged, or that no training can go on from.
    """
    checkpoint = load_from_local(path, "cpu")
    meta = checkpoint.get("meta")
    if "optimizer" not in checkpoint or not isinstance(meta, dict) or "iter" not in meta:
        raise ValueError(
            f"checkpoint {path} holds weights, not a training to resume; to start from them, set "
            "load_from"
        )
    return Progress(Path(path), int(meta["iter"]), meta.get("seed"))


def _newest_first(folder: Path) -> Iterator[Path]:
    """List a run's checkpoints."""
    note = folder / "last_checkpoint"
    named, since, folders = Path(), 0, [folder]
    if note.is_file():
        named, since = Path(note.read_text().strip()), note.stat().st_mtime_ns
        if named.name and not (folder / named.name).exists():
            folders.append(named.parent)  # default_hooks.checkpoint.out_dir
    found = [
        (path, int(match[1]), path.stat().st_mtime_ns)
        for place in folders
        for path in place.glob("*.pth")
        if (match := _NAME.fullmatch(path.name))
    ]

    def rank(entry: tuple[Path, int, int]) -> tuple[bool, int, int]:
        path, step, written = entry
        return path.name == named.name or written > since, written, step

    return (path for path, _, _ in sorted(found, key=rank, reverse=True))
