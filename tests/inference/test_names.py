"""Every picture has a file of its own, below the folder that is written to."""

import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_pointrend.inference.names import absolute, common_folder, output_names, relative_to

# Few parts, so that they meet: endings, endings in names, folders that are called as files are.
PARTS = st.sampled_from(["a", "a.png", "a.jpg", "a.jpg.png", "a.png.png", "b.c", "..b", "a.PNG"])
TREES = st.sets(st.lists(PARTS, min_size=1, max_size=3).map("/".join), max_size=12)


def as_files(tree: set[str]) -> list[PurePosixPath]:
    """Leave out what would be a file and a folder at once."""
    folders = {str(parent) for path in tree for parent in PurePosixPath(path).parents}
    return [PurePosixPath(path) for path in sorted(tree - folders)]


@given(TREES)
def test_names_never_meet(tree: set[str]) -> None:
    pictures = as_files(tree)
    names = output_names(pictures)
    for ending in (".png", ".jpg"):
        files = {name.with_suffix(ending) for name in names}
        folders = {parent for name in names for parent in name.parents}
        assert len(files) == len(pictures) and not files & folders
    for picture, name in zip(pictures, names, strict=True):
        assert name.suffix == ".png" and name.parent == picture.parent
        assert name.name.startswith(picture.stem)


@given(TREES)
def test_they_can_be_written_side_by_side(tree: set[str]) -> None:
    """On a real disk; nothing lies outside of the folder."""
    with tempfile.TemporaryDirectory() as folder:
        names = output_names(as_files(tree))
        for name in names:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(exist_ok=False)
        assert sum(path.is_file() for path in Path(folder).rglob("*")) == len(names)


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        ("a/0001.jpg b/0001.jpg", "a/0001.png b/0001.png"),
        ("x.jpg x.tif y.jpg", "x.jpg.png x.tif.png y.png"),
        ("x.jpg x.jpg.png x.png", "x.jpg.png.png x.jpg.png x.png.png"),
        ("a.jpg a.png/b.jpg", "a.jpg.png a.png/b.png"),
        ("x.tar.gz.jpg", "x.tar.gz.png"),
    ],
)
def test_names(pictures: str, expected: str) -> None:
    found = output_names([PurePosixPath(path) for path in pictures.split()])
    assert [str(name) for name in found] == expected.split()


def test_where_pictures_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b/./c.png") == str(tmp_path / "b/c.png")
    assert absolute("s3://bucket/a/../c.png") == "/bucket/c.png"
    assert common_folder(["a/b", "a/c/d"]) == str(tmp_path / "a")
    assert relative_to("a/c/d.png", str(tmp_path / "a")) == PurePosixPath("c/d.png")
    for outside in ("b/d.png", "a"):
        with pytest.raises(ValueError, match="does not lie in"):
            relative_to(outside, str(tmp_path / "a"))
