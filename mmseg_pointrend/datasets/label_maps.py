"""Label maps that cannot be trained on: other labels, another size, more bits than are read."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from mmengine.dataset import BaseDataset
from mmseg.datasets.transforms import LoadAnnotations
from rich.progress import track

from mmseg_pointrend.datasets.picture_files import is_cut_off, picture_shape, read_header


@dataclass(frozen=True)
class LabelMapCheck:
    """What the label maps of a data set are held against.

    Attributes:
        load_labels: the transform that reads `seg_map_path` into `gt_seg_map`.
        load_picture: the transform that reads `img_path` into `img`; None to compare no sizes.
        num_classes: labels must lie below it,
        ignore_index: or be this.
    """

    load_labels: LoadAnnotations
    load_picture: LoadImageFromFile | None
    num_classes: int
    ignore_index: int

    def inspect(self, info: dict) -> tuple[set[int], str | None]:
        """Read one label map.

        Args:
            info: the data set's record of the picture.

        Returns:
            the labels in it, and what is wrong with it (None if nothing).
        """
        path = info.get("seg_map_path")
        try:
            labels = self.load_labels(dict(info, seg_fields=[]))["gt_seg_map"]
        except Exception as error:  # whatever the file makes the decoder raise
            return set(), f"cannot read label map {path}: {error}"
        fault = _describe_shape(path, labels) or self._describe_depth(path, labels)
        if fault is not None:
            return set(), fault
        found = _find_labels(labels)
        return found, (
            self._describe_labels(path, found)
            or self._describe_size(info, labels)
            or self._describe_end(info)
        )

    def _describe_depth(self, path: str, labels: np.ndarray) -> str | None:
        """Say what the cast to 8 bits has lost, which `LoadAnnotations` makes without a word."""
        backend_args = self.load_labels.backend_args
        header = read_header(path, backend_args)
        if labels.dtype != np.uint8 or (header is not None and not header.wide):
            return None
        content = fileio.get(path, backend_args)
        stored = mmcv.imfrombytes(content, "unchanged", backend=self.load_labels.imdecode_backend)
        with np.errstate(invalid="ignore"):
            if np.array_equal(stored.astype(np.uint8), stored):
                return None
        return (
            f"label map {path} holds {stored.dtype} values from {stored.min()} to {stored.max()}, "
            "of which LoadAnnotations keeps 8 bits: write class indices in 8 bits (those of "
            "class * 256 + instance are value // 256), or load them by a transform of your own"
        )

    def _describe_labels(self, path: str, found: set[int]) -> str | None:
        classes = range(self.num_classes)
        wrong = sorted(label for label in found - {self.ignore_index} if label not in classes)
        if not wrong:
            return None
        shown = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
        return (
            f"label map {path} holds the label(s) {shown}; labels must lie in "
            f"[0, {self.num_classes - 1}] or be {self.ignore_index} (ignored): check num_classes "
            "and the data set's reduce_zero_label"
        )

    def _describe_size(self, info: dict, labels: np.ndarray) -> str | None:
        if self.load_picture is None:
            return None
        try:
            shape = picture_shape(self.load_picture, info, labels.shape)
        except ValueError as error:
            return str(error)
        if shape == labels.shape:
            return None
        turned = (
            "; the loader turns the picture as its EXIF tag says, turn the label map, too"
            if shape == labels.shape[::-1] and _is_oriented(info["img_path"], self.load_picture)
            else ""
        )
        return (
            f"label map {info['seg_map_path']} has {_size(labels.shape)} pixels, but its picture "
            f"{info['img_path']} has {_size(shape)} (width x height); both must be the same{turned}"
        )

    def _describe_end(self, info: dict) -> str | None:
        """Say that a picture's file is cut off, of which some decoders fill the rest with grey."""
        path = info.get("img_path", "")
        if self.load_picture is None or not os.path.isfile(path) or not is_cut_off(path):
            return None
        return f"picture {path} is damaged: its end is missing; fetch it again, or leave it out"


def label_map_check(dataset: BaseDataset, num_classes: int) -> LabelMapCheck | None:
    """Take what a data set's pipeline loads with.

    Args:
        dataset: a data set of mmsegmentation.
        num_classes: the model's number of classes.

    Returns:
        the check, or None for a pipeline that does not load label maps.
    """
    transforms = dataset.pipeline.transforms
    labels = next((one for one in transforms if isinstance(one, LoadAnnotations)), None)
    picture = next((one for one in transforms if isinstance(one, LoadImageFromFile)), None)
    if labels is None:
        return None
    return LabelMapCheck(labels, picture, num_classes, dataset.ignore_index)


def inspect_label_maps(
    dataset: BaseDataset,
    check: LabelMapCheck,
    indices: Sequence[int],
    num_threads: int = 4,
    progress: bool = True,
) -> tuple[set[int], str | None]:
    """Read label maps of a data set until one has a fault.

    Args:
        dataset: where their records are.
        check: what they are held against.
        indices: which of them.
        num_threads: files read at a time.
        progress: show how far it is.

    Returns:
        the labels that occur, `ignore_index` included, and the first fault (None if there is none).
    """
    seen: set[int] = set()
    fault = None
    with ThreadPoolExecutor(num_threads) as pool:
        results = pool.map(lambda index: check.inspect(dataset.get_data_info(index)), indices)
        for labels, fault in track(results, "Checking labels", len(indices), disable=not progress):
            seen |= labels
            if fault is not None:
                pool.shutdown(cancel_futures=True)
                break
    return seen, fault


def describe_absent(seen: set[int], dataset: BaseDataset, num_classes: int) -> str | None:
    """Describe classes that occur in no label map, or return None if all do.

    Args:
        seen: the labels that occur, as they are after loading.
        dataset: whose class names are used.
        num_classes: the model's number of classes.
    """
    absent = [label for label in range(num_classes) if label not in seen]
    if not absent:
        return None
    names = dataset.metainfo.get("classes") or [str(label) for label in range(num_classes)]
    message = f"No training label holds {', '.join(names[label] for label in absent)}: "
    if seen <= {0, 255} and getattr(dataset, "reduce_zero_label", False):
        return message + (
            "the files hold no other values than 0 and 1 (or 255), and reduce_zero_label=True "
            "reads 0 as ignored and 1 as class 0; leave it out if 0 is a class"
        )
    mapped = getattr(dataset, "label_map", None)
    if seen == {0, 255} and dataset.ignore_index == 255 and mapped is None:
        return message + "all labels are 0 or 255, and 255 is ignored; write the second class as 1"
    return message + "a model cannot learn what it never sees"


def _find_labels(labels: np.ndarray) -> set[int]:
    """List the values of a label map; counting those of 8 bits is faster than sorting them."""
    if labels.dtype == np.uint8:
        return set(np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist())
    return {int(label) for label in np.unique(labels)}


def _describe_shape(path: str, labels: np.ndarray) -> str | None:
    if labels.ndim < 2:
        return (
            f"label map {path} is one pixel high or wide, which LoadAnnotations reads as the shape "
            f"{labels.shape}; leave it and its picture out, or make both larger"
        )
    if labels.ndim > 2:
        return (
            f"label map {path} has shape {labels.shape}; it must be one channel of class indices, "
            "not colours"
        )
    return None


def _is_oriented(path: str, loader: LoadImageFromFile) -> bool:
    header = read_header(path, loader.backend_args)
    return header is not None and header.oriented


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[1]} x {shape[0]}"
