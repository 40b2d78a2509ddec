"""Annotation files and data sets of COCO's form, checked before they are worked on.

mmdet 3.3.0 takes the classes that the file has, in the file's order, whatever the config says:
with a class missing or in another place every label after it is another class, without a word.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS


def find_annotations(config: dict, name: str, check_names: bool = True) -> BaseDataset:
    """Build a data set of COCO's form as far as its settings, and look for its files.

    Args:
        config: of a data set without wrappers.
        name: how the data set is called in errors.
        check_names: compare the classes with those of the file; a data set whose own
            `load_data_list` gives every class its label need not be.

    Returns:
        the data set, not initialised: without its list of pictures.

    Raises:
        FileNotFoundError: if the annotation file or the folder of pictures does not exist.
        ValueError: if the folder is empty, or the file's classes are not those of the config.
    """
    dataset = DATASETS.build(dict(config, lazy_init=True))
    file = dataset.ann_file
    if not file:
        raise ValueError(f"{name}: ann_file is missing: instances need a file of COCO's form")
    if "://" in str(file):
        return dataset
    if not os.path.isfile(file):
        raise FileNotFoundError(f"{name}: ann_file {file} does not exist; set data_root, ann_file")
    folder = dataset.data_prefix.get("img", "")
    if folder and "://" not in str(folder):
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                f"{name}: folder of pictures {folder} does not exist; set data_root, data_prefix"
            )
        if next(os.scandir(folder), None) is None:
            raise ValueError(f"{name}: folder of pictures {folder} is empty")
    if check_names:
        check_class_names(dataset.metainfo.get("classes") or (), read_class_names(file), name, file)
    return dataset


def read_class_names(path: str | Path) -> list[str]:
    """Read the names of an annotation file's categories, in its order; the rest is not parsed.

    Raises:
        ValueError: if there are none.
    """
    text = Path(path).read_bytes()
    for found in re.finditer(rb'"categories"\s*:\s*(?=\[)', text):
        try:
            parts, _ = json.JSONDecoder().raw_decode(text[found.end() :].decode())
            return [str(part["name"]) for part in parts]
        except (ValueError, KeyError, TypeError):
            continue
    raise ValueError(f"ann_file {path} is not of COCO's form: it has no categories with names")


def check_class_names(
    classes: Sequence[str], in_file: Sequence[str], name: str, file: str | Path
) -> None:
    """Raise ValueError unless mmdet gives every class its own label.

    Args:
        classes: as the config or the data set has them.
        in_file: those of the annotation file, in its order.
        name: how the data set is called.
        file: the annotation file.
    """
    missing = [one for one in classes if one not in in_file]
    kept = [one for one in in_file if one in classes]
    if missing:
        reason = f"has no {_list(missing)}"
    elif kept != list(classes):
        reason = f"has them in another order, {_list(kept)}, which mmdet labels would follow"
    else:
        return
    raise ValueError(
        f"{name}: classes are {_list(classes)}, and ann_file {file} {reason}; set "
        f"metainfo=dict(classes=({_list(in_file)},))"
    )


@contextmanager
def explaining_empty_data() -> Iterator[None]:
    """Let data sets that are left without a picture say so, where mmengine 0.10.7 does not.

    Raises:
        ValueError: from mmengine's own, which speaks of arrays.
    """
    try:
        yield
    except ValueError as error:
        if "need at least one array to concatenate" not in str(error):
            raise
        raise ValueError(
            "a data set has no pictures left: its filter_cfg leaves out those without objects of "
            "its classes (filter_empty_gt), and those that are too small (min_size)"
        ) from error


class Pictures(NamedTuple):
    """What a data set has.

    Attributes:
        number: of pictures.
        empty: how many of them have no object.
        instances: number of objects.
        absent: the path of the first picture that does not exist; None if all do.
        number_absent: of pictures that do not exist.
    """

    number: int
    empty: int
    instances: int
    absent: str | None
    number_absent: int

    def describe(self) -> str:
        """Say how many there are, as in "12 pictures, 2 of them without objects, 31 objects"."""
        text = f"{self.number} picture{'' if self.number == 1 else 's'}"
        if self.empty:
            text += f", {self.empty} of them without objects"
        return f"{text}, {self.instances} object{'' if self.instances == 1 else 's'}"


def count_pictures(dataset: BaseDataset) -> Pictures:
    """Count what a data set, initialised, has, and look for its files."""
    listed: dict[str, set[str]] = {}
    empty = instances = 0
    absent = []
    for index in range(len(dataset)):
        record = dataset.get_data_info(index)
        found = len(record.get("instances", ()))
        instances += found
        empty += not found
        path = record["img_path"]
        if "://" not in path and not _exists(path, listed):
            absent.append(path)
    return Pictures(len(dataset), empty, instances, next(iter(absent), None), len(absent))


def _exists(path: str, listed: dict[str, set[str]]) -> bool:
    """Whether a file is there; a folder is listed once."""
    folder, name = os.path.split(path)
    if folder not in listed:
        listed[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    return name in listed[folder]


def _list(names: Sequence[str], most: int = 6) -> str:
    text = ", ".join(map(repr, names[:most]))
    return text + (f" and {len(names) - most} more" if len(names) > most else "")
