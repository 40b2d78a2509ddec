"""Which pictures are meant by files, folders, patterns and lists of files."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mmseg_pointrend.datasets.found_pictures import PICTURE_ENDINGS
from mmseg_pointrend.inference.names import absolute, common_folder, output_names, relative_to

#: A file that lists pictures.
LIST_ENDING = ".txt"


class Picture(NamedTuple):
    """A picture to predict.

    Attributes:
        path: where it is.
        source: where it is below the folder that holds all pictures.
        name: what is written for it, below the folder that is written to: ends in .png.
    """

    path: str
    source: PurePosixPath
    name: PurePosixPath


class Found(NamedTuple):
    """What was found.

    Attributes:
        root: the deepest folder that holds all that was named.
        pictures: in the order of their paths, none twice.
        passed_over: numbers of other files, by their ending.
    """

    root: str
    pictures: list[Picture]
    passed_over: Counter[str]

    def describe(self) -> str:
        """Say how many there are, as in "12 pictures in /data, passed over: 2 *.json"."""
        number = len(self.pictures)
        text = f"{number} picture{'' if number == 1 else 's'} in {self.root}"
        if self.passed_over:
            counts = (f"{count} {kind}" for kind, count in self.passed_over.most_common())
            text += f", passed over: {', '.join(counts)}"
        return text


def find_pictures(
    inputs: Sequence[str | os.PathLike], without: Iterable[str | os.PathLike] = ()
) -> Found:
    """Find pictures, and name the files that will be written for them.

    A folder is searched with all folders in it, but not through links to folders, nor in what has a
    hidden name (`.x`); a picture is what ends like one (`PICTURE_ENDINGS`).

    Args:
        inputs: files, whatever they end in; folders; patterns such as `data/*/left/**/*.png`; lists
            of files, which end in .txt and have one path a line, relative to the list.
        without: folders whose pictures are left out, as results of this tool.

    Raises:
        FileNotFoundError: if an input does not exist, or a pattern fits nothing.
        ValueError: if there are no pictures.
    """
    kept_out = [absolute(folder) for folder in without]
    passed: Counter[str] = Counter()
    roots: list[str] = []
    paths: set[str] = set()
    for given in map(os.fspath, inputs):
        for root, path in _expand(given, passed):
            roots.append(root)
            if path is not None and not any(_holds(folder, path) for folder in kept_out):
                paths.add(path)
    if not paths:
        passed_over = Found("", [], passed).describe().partition(", ")[2]
        raise ValueError(
            f"no pictures found in {', '.join(map(str, inputs))}; a picture ends in "
            f"{', '.join(sorted(PICTURE_ENDINGS))}" + (f" ({passed_over})" if passed else "")
        )
    return name_pictures(sorted(paths), common_folder(roots), passed)


def name_pictures(
    paths: Sequence[str], root: str, passed_over: Counter[str] | None = None
) -> Found:
    """Name the files for pictures that lie in one folder.

    Raises:
        ValueError: for a picture outside of it.
    """
    sources = [relative_to(path, root) for path in paths]
    pictures = map(Picture, paths, sources, output_names(sources))
    return Found(root, list(pictures), passed_over or Counter())


def _expand(given: str, passed: Counter[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the folder that an input stands for, and each of its pictures."""
    if os.path.isdir(given):
        yield absolute(given), None
        yield from ((absolute(given), path) for path in _walk(given, passed))
    elif os.path.isfile(given) and given.lower().endswith(LIST_ENDING):
        yield from _read_list(given)
    elif os.path.isfile(given):
        yield os.path.dirname(absolute(given)), absolute(given)
    elif glob.has_magic(given):
        yield from _match(given, passed)
    else:
        raise FileNotFoundError(f"input {given} does not exist: no file, folder or pattern")


def _walk(folder: str, passed: Counter[str]) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        passed.update("linked folders" for name in folders if os.path.islink(f"{here}/{name}"))
        passed.update("hidden folders" for name in folders if name.startswith("."))
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from _pictures_among((os.path.join(here, name) for name in names), passed)


def _pictures_among(paths: Iterable[str], passed: Counter[str]) -> Iterator[str]:
    for path in map(absolute, paths):
        ending = Path(path).suffix
        if os.path.basename(path).startswith("."):
            passed["hidden files"] += 1
        elif ending.lower() not in PICTURE_ENDINGS:
            passed[f"*{ending}" if ending else "without an ending"] += 1
        else:
            yield path


def _read_list(given: str) -> Iterator[tuple[str, str]]:
    """Yield the pictures of a list, also those that do not exist."""
    folder = os.path.dirname(absolute(given))
    try:
        lines = Path(given).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"input {given} is no list of files in UTF-8 ({error})") from error
    for line in filter(None, map(str.strip, lines)):
        path = absolute(os.path.join(folder, line))
        yield os.path.dirname(path), path


def _match(pattern: str, passed: Counter[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the files that fit a pattern, and those in folders that fit it."""
    fixed: list[str] = []
    for part in absolute(pattern).split(os.sep)[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    root = os.sep.join(fixed) or os.sep
    matches = [absolute(path) for path in glob.glob(pattern, recursive=True)]
    if not matches:
        raise FileNotFoundError(f"input {pattern} fits no file or folder")
    yield root, None
    # With ** a pattern fits folders and what is in them: all is taken once.
    folders = {path for path in matches if os.path.isdir(path)}
    outermost = [path for path in matches if not any(map(folders.__contains__, _above(path)))]
    files = (path for path in outermost if path not in folders)
    yield from ((root, path) for path in _pictures_among(files, passed))
    for folder in folders.intersection(outermost):
        yield from ((root, path) for path in _walk(folder, passed))


def _above(path: str) -> Iterator[str]:
    """Yield the folders that hold a path."""
    return map(str, Path(path).parents)


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
