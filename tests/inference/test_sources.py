"""Which pictures are meant, in which order, and whether it is one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_pointrend.inference.sources import each_picture, is_one_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a/c.jpg", "a/[1].png", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "list.txt").write_text("b.png\na/c.jpg\n")
    return tmp_path


def test_one_picture(folder: Path) -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    for one in (
        folder / "b.png", str(folder / "a/[1].png"), folder / "missing.png", pixels, pixels[..., 0],
        torch.zeros(3, 4, 5), Image.fromarray(pixels),
    ):  # fmt: skip
        assert is_one_picture(one)
        (found,) = each_picture(one)
        assert found is one


def test_several(folder: Path) -> None:
    paths = [str(folder / name) for name in ("a/[1].png", "a/c.jpg", "b.png")]
    pixels, image = np.zeros((4, 5), np.uint8), Image.new("L", (5, 4))
    for several, expected in (
        (folder, paths),
        (f"{folder}/*/*.jpg", paths[1:2]),
        (folder / "list.txt", paths[1:]),  # in the order of their paths
        ([folder / "a", paths[2], paths[2]], [*paths[:2], paths[2], paths[2]]),
        ([pixels, [image, paths[0]]], [pixels, image, paths[0]]),
        ([], []),
    ):
        assert not is_one_picture(several)
        assert list(each_picture(several)) == expected
    for stack in (np.zeros((2, 4, 5, 3)), torch.zeros(3, 3, 4, 5)):
        assert not is_one_picture(stack)
        assert [one.shape for one in each_picture(stack)] == [stack.shape[1:]] * len(stack)


def test_a_generator_is_not_read_ahead() -> None:
    def frames():
        yield "first.png"
        raise AssertionError("nobody asked for a second")

    assert next(each_picture(frames())) == "first.png"


@pytest.mark.parametrize("given", [3, None, b"a.png", {"a.png": 1}, ["a.png", 3.5]])
def test_what_is_no_picture(given: object) -> None:
    with pytest.raises(TypeError, match="pictures must be paths, folders, arrays, tensors"):
        list(each_picture(given))


def test_what_is_not_there(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file, folder or pattern|fits nothing|no"):
        list(each_picture(str(folder / "*.bmp")))
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures found in"):
        list(each_picture(folder / "empty"))
