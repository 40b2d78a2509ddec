"""Which pictures files, folders, patterns and lists mean."""

from pathlib import Path

import pytest

from mmseg_pointrend.inference.inputs import find_pictures

TREE = (
    "a/1.jpg a/2.PNG a/deep/3.tif a/labels.json a/.hidden.jpg a/.cache/4.jpg "
    "b/1.jpg b/readme out/labels/a/1.png"
).split()


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in TREE:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "sources"),
    [
        (["a"], "1.jpg 2.PNG deep/3.tif"),
        (["a", "b"], "a/1.jpg a/2.PNG a/deep/3.tif b/1.jpg"),
        (["a/deep"], "3.tif"),
        (["a/deep/3.tif"], "3.tif"),
        (["a/labels.json"], "labels.json"),  # whoever names a file means it
        (["a/1.jpg", "b/../a/1.jpg", "a"], "1.jpg 2.PNG deep/3.tif"),
        (["a/*.jpg"], "1.jpg"),
        (["*/1.jpg"], "a/1.jpg b/1.jpg"),
        (["**/*.jpg"], "a/1.jpg b/1.jpg"),
        (["a/**"], "1.jpg 2.PNG deep/3.tif"),
        (["[ab]"], "a/1.jpg a/2.PNG a/deep/3.tif b/1.jpg"),
        (["."], "a/1.jpg a/2.PNG a/deep/3.tif b/1.jpg"),
    ],
)
def test_pictures(inputs: list[str], sources: str) -> None:
    found = find_pictures(inputs, without=["out/labels"])
    assert [str(picture.source) for picture in found.pictures] == sources.split()
    for picture in found.pictures:
        assert picture.path == str(Path(found.root) / picture.source)


def test_what_is_passed_over_is_counted(tree: Path) -> None:
    (tree / "a/linked").symlink_to(tree / "b")
    for inputs in (["a"], ["a/**"]):
        found = find_pictures(inputs)
        assert len(found.pictures) == 3
        assert found.describe().startswith(f"3 pictures in {tree}/a, passed over: ")
        assert dict(found.passed_over) == {
            "*.json": 1, "hidden files": 1, "hidden folders": 1, "linked folders": 1,
        }  # fmt: skip


def test_a_list_is_relative_to_itself(tree: Path) -> None:
    """Missing pictures are kept: one of them does not stop the others."""
    (tree / "b/list.txt").write_text(f"1.jpg\n\n../a/1.jpg\r\n{tree}/a/2.PNG\nmissing.jpg\n")
    found = find_pictures(["b/list.txt"])
    assert [str(picture.source) for picture in found.pictures] == [
        "a/1.jpg", "a/2.PNG", "b/1.jpg", "b/missing.jpg",
    ]  # fmt: skip


def test_mistakes(tree: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input nowhere does not exist"):
        find_pictures(["a", "nowhere"])
    with pytest.raises(FileNotFoundError, match=r"input \*.bmp fits no file"):
        find_pictures(["*.bmp"])
    (tree / "empty").mkdir()
    (tree / "empty/x.json").touch()
    with pytest.raises(ValueError, match=r"no pictures found in empty; .*passed over: 1 \*.json"):
        find_pictures(["empty"])
    (tree / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="input binary.txt is no list of files in UTF-8"):
        find_pictures(["binary.txt"])
