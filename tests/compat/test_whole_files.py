"""Files that are written whole or not at all."""

import os
import resource
import signal
from pathlib import Path

import pytest
from mmengine.fileio import dump, get_file_backend

from mmseg_pointrend.compat.whole_files import (
    WholeFileBackend,
    install_whole_file_backend,
    whole_file,
)


def in_a_process(function) -> int:
    """Run a function in a process of its own; return its exit status, negative for a signal."""
    number = os.fork()
    if number:
        return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    try:
        function()
    finally:
        os._exit(0)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with whole_file(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("no"), OSError(28, "No space left on device")])
def test_after_an_error_the_old_file_is_there_and_no_part(tmp_path: Path, error) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(error)) as raised, whole_file(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    if isinstance(error, OSError):
        assert (raised.value.errno, raised.value.filename) == (28, str(path))


def test_after_a_kill_the_old_file_is_there_and_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write_and_die() -> None:
        with whole_file(path) as file:
            file.write(b"new" * 100_000)
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_process(write_and_die) == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    with whole_file(path) as file:
        file.write(b"newer")
    assert path.read_bytes() == b"newer"


def test_several_processes_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with whole_file(path) as file:
        file.write(b"one")
        file.flush()

        def write() -> None:
            with whole_file(path) as other:
                other.write(b"other")

        assert in_a_process(write) == 0
        assert path.read_bytes() == b"other"
    assert path.read_bytes() == b"one" and list(tmp_path.iterdir()) == [path]


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    path, found = tmp_path / "file", tmp_path / "found"
    path.write_bytes(b"old")

    def write() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            WholeFileBackend().put(b"x" * 5000, path)
        except OSError as error:
            found.write_text(str(error.filename))

    assert in_a_process(write) == 0
    assert found.read_text() == str(path)
    assert path.read_bytes() == b"old" and sorted(tmp_path.iterdir()) == [path, found]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with whole_file(link) as file:
        file.write(b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_mmengine_writes_by_it(tmp_path: Path) -> None:
    install_whole_file_backend()
    assert isinstance(get_file_backend(str(tmp_path / "a.json")), WholeFileBackend)
    path = tmp_path / "a.json"
    dump(dict(a="ü"), str(path))
    dump(dict(a=2), path)
    assert path.read_text() == '{"a": 2}' and list(tmp_path.iterdir()) == [path]
