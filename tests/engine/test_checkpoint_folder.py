"""Which checkpoint of a folder a training goes on from."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from mmseg_pointrend.engine.checkpoint_folder import find_damage, find_newest, read_progress

#: A second, in nanoseconds.
SECOND = 10**9


def save(path: Path, iteration: int, at: int) -> Path:
    """Save a checkpoint, written at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = dict(iter=iteration, seed=5)
    torch.save(dict(meta=meta, optimizer={}, state_dict=dict(a=torch.randn(999))), path)
    os.utime(path, ns=(at * SECOND, at * SECOND))
    return path


def note(folder: Path, path: Path | str, at: int) -> None:
    """Write `last_checkpoint` at a time."""
    (folder / "last_checkpoint").write_text(str(path))
    os.utime(folder / "last_checkpoint", ns=(at * SECOND, at * SECOND))


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_nothing_there(tmp_path: Path) -> None:
    assert find_newest(tmp_path) is None
    assert find_newest(tmp_path / "missing") is None
    (tmp_path / "last_checkpoint").write_text("")
    assert find_newest(tmp_path) is None


def test_the_named_one(tmp_path: Path) -> None:
    named = save(tmp_path / "iter_50.pth", 50, at=30)
    save(tmp_path / "iter_100.pth", 100, at=20)  # of an earlier training in this folder
    save(tmp_path / "best_mIoU_iter_100.pth", 100, at=40)
    note(tmp_path, named, at=31)
    assert find_newest(tmp_path) == named


def test_one_that_was_written_before_a_kill_and_not_noted(tmp_path: Path) -> None:
    old = save(tmp_path / "iter_50.pth", 50, at=30)
    note(tmp_path, old, at=31)
    assert find_newest(tmp_path) == old
    assert find_newest(tmp_path) != (new := save(tmp_path / "iter_100.pth", 100, at=40))
    assert find_newest(tmp_path) == new


def test_without_a_note(tmp_path: Path) -> None:
    save(tmp_path / "iter_9.pth", 9, at=30)
    save(tmp_path / "iter_10.pth", 10, at=30)
    assert find_newest(tmp_path).name == "iter_10.pth"


@pytest.mark.parametrize("damage", [truncate, Path.unlink, lambda path: path.write_bytes(b"")])
def test_the_newest_is_damaged(tmp_path: Path, damage, capfd) -> None:
    old, new = save(tmp_path / "epoch_1.pth", 5, at=20), save(tmp_path / "epoch_2.pth", 10, at=30)
    note(tmp_path, new, at=31)
    damage(new)
    assert find_newest(tmp_path) == old


def test_a_wrong_bit_is_damage(tmp_path: Path) -> None:
    path = save(tmp_path / "iter_5.pth", 5, at=20)
    assert find_damage(path) is None
    content = bytearray(path.read_bytes())
    content[content.index(torch.load(path)["state_dict"]["a"].numpy().tobytes()) + 99] ^= 1
    path.write_bytes(content)
    assert "does not fit its checksum" in find_damage(path)


def test_all_are_damaged(tmp_path: Path) -> None:
    truncate(save(tmp_path / "iter_5.pth", 5, at=20))
    with pytest.raises(ValueError, match=r"iter_5.pth is damaged: .*; no complete one is left in"):
        find_newest(tmp_path)


def test_a_folder_that_was_moved_or_copied(tmp_path: Path) -> None:
    old = save(tmp_path / "old" / "iter_5.pth", 5, at=20)
    note(tmp_path / "old", old, at=21)
    shutil.copytree(tmp_path / "old", tmp_path / "copy")
    assert find_newest(tmp_path / "copy") == tmp_path / "copy" / "iter_5.pth"
    (tmp_path / "old").rename(tmp_path / "new")
    assert find_newest(tmp_path / "new") == tmp_path / "new" / "iter_5.pth"


def test_checkpoints_in_a_folder_of_their_own(tmp_path: Path) -> None:
    path = save(tmp_path / "elsewhere" / "work" / "iter_5.pth", 5, at=20)
    (tmp_path / "work").mkdir()
    note(tmp_path / "work", path, at=21)
    assert find_newest(tmp_path / "work") == path


def test_progress(tmp_path: Path) -> None:
    path = save(tmp_path / "iter_5.pth", 5, at=20)
    assert read_progress(path) == (path, 5, 5)
    torch.save(dict(meta=dict(iter=5), state_dict={}), path)
    with pytest.raises(ValueError, match=r"iter_5.pth holds weights, not a training to resume"):
        read_progress(path)
