"""Which pictures are meant in Python: by paths, folders, arrays, tensors, Pillow's images."""

import os
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from mmseg_pointrend.inference.inputs import LIST_ENDING, find_pictures
from mmseg_pointrend.inference.pixels import Source

#: One picture; or several: a folder, a pattern, a list of files (.txt), a stack of pixels
#: (N, H, W, C) or, a tensor, (N, C, H, W); or any number of all these.
Sources: TypeAlias = Source | Iterable["Sources"]


def is_one_picture(given: Sources) -> bool:
    """Whether one picture is given, and not what may hold several."""
    if isinstance(given, str | os.PathLike):
        path = os.fspath(given)
        several = os.path.isdir(path) or path.lower().endswith(LIST_ENDING) or "*" in path
        return os.path.isfile(path) and not path.lower().endswith(LIST_ENDING) or not several
    return isinstance(given, Image.Image) or (
        isinstance(given, np.ndarray | Tensor) and given.ndim < 4
    )


def each_picture(given: Sources) -> Iterator[Source]:
    """Yield the pictures one by one, in the order in which they are given; folders' by their paths.

    Args:
        given: see `Sources`; what is iterated over is not read ahead.

    Raises:
        FileNotFoundError: if a folder's name or a pattern fits nothing.
        ValueError: for a folder without pictures.
        TypeError: for what is no picture.
    """
    if is_one_picture(given):
        yield given
    elif isinstance(given, str | os.PathLike):
        yield from (picture.path for picture in find_pictures([given]).pictures)
    elif isinstance(given, np.ndarray | Tensor):
        yield from given
    elif isinstance(given, Iterable) and not isinstance(given, bytes | dict):
        for one in given:
            yield from each_picture(one)
    else:
        raise TypeError(
            "pictures must be paths, folders, arrays, tensors, Pillow's images, or several of "
            f"them, got {type(given).__name__}"
        )
