"""What the files are called that are written for pictures: every picture has a name of its own."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

#: What files that are written end in: label maps and confidences, overlays.
OUTPUT_ENDINGS = (".png", ".jpg")


def absolute(path: str | os.PathLike) -> str:
    """Write a path from its root on, without `.` and `..`; links are not followed.

    A path of another file system, as in `s3://bucket/a.png`, is taken from its bucket on.
    """
    text = os.fspath(path)
    _, remote, rest = text.partition("://")
    return os.path.normpath("/" + rest.lstrip("/")) if remote else os.path.abspath(text)


def common_folder(folders: Iterable[str | os.PathLike]) -> str:
    """Find the deepest folder that holds all folders.

    Raises:
        ValueError: for folders on different drives.
    """
    try:
        return os.path.commonpath([absolute(folder) for folder in folders])
    except ValueError as error:
        raise ValueError(f"no folder holds all pictures ({error}): predict them apart") from error


def relative_to(path: str | os.PathLike, root: str) -> PurePosixPath:
    """Say where a path lies below a folder that holds it.

    Raises:
        ValueError: if the folder does not hold it.
    """
    relative = os.path.relpath(absolute(path), root).replace(os.sep, "/")
    if relative.split("/")[0] in ("..", "."):
        raise ValueError(f"{path} does not lie in {root}")
    return PurePosixPath(relative)


def output_names(pictures: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """Name a PNG file for each picture: its path, the ending replaced.

    Where that would be the name of two pictures, or of a folder that holds some, the ending is
    kept: `a/x.png` is for `a/x.jpg`, `a/x.jpg.png` and `a/x.tif.png` for `a/x.jpg` and `a/x.tif`.

    Args:
        pictures: paths below one folder, all different.

    Returns:
        for each picture a path below the folder that is written to; all are different, and none
        is a folder that holds another, with either of `OUTPUT_ENDINGS`.

    Example:
        >>> output_names([PurePosixPath("a/0.jpg"), PurePosixPath("a/1.jpg")])
        [PurePosixPath('a/0.png'), PurePosixPath('a/1.png')]
    """
    folders = {parent for picture in pictures for parent in picture.parents}

    def is_folder(name: str) -> bool:
        # Also of an overlay, which has the same name with another ending.
        return any(PurePosixPath(name).with_suffix(ending) in folders for ending in OUTPUT_ENDINGS)

    short = [str(picture.with_suffix(".png")) for picture in pictures]
    counts = Counter(short)
    free = {name for name in short if counts[name] == 1 and not is_folder(name)}
    taken, names = set(free), []
    for picture, name in zip(pictures, short, strict=True):
        if name not in free:
            name = f"{picture}.png"
            while name in taken or is_folder(name):
                name += ".png"
            taken.add(name)
        names.append(PurePosixPath(name))
    return names
