"""Files that are written whole or not at all.

Upstream: mmengine 0.10.7. Its backend for local files opens a file under its own name and writes:
whoever is killed meanwhile, or runs out of disk, has lost the file that was there before and holds
the beginning of the new one. `install_whole_file_backend` puts a backend in its place that writes
aside. It can go when mmengine's does; `whole_file` is for files of our own, too.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mmengine.fileio import LocalBackend, io, register_backend


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name when it is complete.

    It is written aside, to `.<name>.<process>.part`, flushed to the disk and renamed. After an
    error nothing is left of it, and what had its name before is as it was; after a kill, the part
    remains. Missing folders are made. Of several processes that write a file, the last one's stays.

    Args:
        path: where the file goes.

    Yields:
        the open file.

    Raises:
        OSError: if it cannot be written, naming `path`.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _flush_folder(path.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def install_whole_file_backend() -> None:
    """Let mmengine write local files whole; safe to call any number of times."""
    register_backend("local", WholeFileBackend, force=True, prefixes="")
    io.backend_instances.pop(":{}", None)  # the one for plain paths, if mmengine has made it


class WholeFileBackend(LocalBackend):
    """mmengine's local files, written by `whole_file`."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes."""
        with whole_file(filepath) as file:
            file.write(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write text."""
        self.put(obj.encode(encoding), filepath)


def _flush_folder(folder: Path) -> None:
    """Flush the new name to the disk, where folders can be opened (not on Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
