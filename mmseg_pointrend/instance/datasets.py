"""One's own instances in a file of COCO's form: checked and completed, then read by mmdet."""

import logging
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from numbers import Integral, Real

import numpy as np
from mmcv.image import imfrombytes
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine import fileio
from mmengine.logging import print_log
from pycocotools import mask as mask_tools

from mmseg_pointrend.instance.evaluation.average_precision import make_coco
from mmseg_pointrend.instance.evaluation.run_lengths import RLE, decode_counts
from mmseg_pointrend.instance.evaluation.truths import encode_segmentation, read_annotations

#: Corners of a polygon may lie so many pixels outside of its picture: annotators' tools round.
_MARGIN = 2.0


@DATASETS.register_module()
class InstanceDataset(CocoDataset):
    """Instances of a file of COCO's form, with or without what COCO's own files have beside masks.

    A mask is a list of polygons, run lengths (compressed or not), or the name of a picture of the
    original's size, whose pixels other than 0 are the object; the name is relative to
    `data_prefix["mask"]`. Annotations need a mask, the picture's and the class's number; box, area
    and `iscrowd` are filled in where they are missing. Polygons are made run lengths, too, if
    another mask of the file is no polygon.

    The arguments are those of mmdet's `CocoDataset`. Without classes in `metainfo` the classes are
    those of the file, in its order.

    Raises:
        FileNotFoundError: without the annotation file, or a picture of a mask.
        ValueError: for a file that is broken, classes of `metainfo` that the file has not or has in
            another order (mmdet's labels follow the file), or annotations that cannot be used; the
            first is named with its picture. Objects that mmdet leaves out, because mask or box are
            empty, are counted in the log.
    """

    METAINFO: dict = {}

    def __init__(self, *args, **kwargs) -> None:
        lazy = kwargs.pop("lazy_init", False)
        super().__init__(*args, lazy_init=True, **kwargs)
        if "classes" not in self._metainfo:
            content = self._read()
            self._metainfo["classes"] = tuple(one["name"] for one in content["categories"])
        if not lazy:
            self.full_init()

    def _read(self) -> dict:
        if not self.ann_file:
            raise ValueError(f"{type(self).__name__}: ann_file is missing")
        if "://" not in self.ann_file:
            content = read_annotations(self.ann_file)
        else:
            with fileio.get_local_path(self.ann_file, backend_args=self.backend_args) as local:
                content = read_annotations(local)
        content["annotations"] = content.get("annotations") or []
        check_tables(content, self.ann_file)
        return content

    def load_data_list(self) -> list[dict]:
        """Read the file, check and complete it, and leave the rest to mmdet.

        Raises:
            FileNotFoundError: see the class.
            ValueError: see the class.
        """
        content = self._read()
        in_file = [one["name"] for one in content["categories"]]
        check_classes(self.metainfo["classes"], in_file, self.ann_file)
        coco = make_coco(content["images"], content["categories"], self._completed(content))
        # In the place of the class that would read the file once more.
        self.COCOAPI = lambda path: coco
        try:
            return super().load_data_list()
        finally:
            # Workers are sent the data set, and cannot be sent this.
            del self.COCOAPI

    def _completed(self, content: dict) -> list[dict]:
        """Check all annotations and fill in what they lack."""
        images = {one["id"]: one for one in content["images"]}
        for image in content["images"]:
            sides = image.get("height"), image.get("width")
            if not image.get("file_name") or not all(
                isinstance(side, Integral) and side > 0 for side in sides
            ):
                raise ValueError(
                    f"{self.ann_file}: picture {image.get('file_name', image['id'])} needs "
                    f"file_name, height and width, got {image}"
                )
        numbers = {one["id"] for one in content["categories"]}
        annotations, faults = [], []
        for one in content["annotations"]:
            image = images.get(one.get("image_id"))
            fault = None
            if image is None:
                fault = f"of picture number {one.get('image_id')}, which the file has not"
            elif one.get("category_id") not in numbers:
                fault = f"has class number {one.get('category_id')}, which the file has not"
            else:
                segmentation = one.get("segmentation")
                if isinstance(segmentation, str):
                    segmentation = self._picture_of(segmentation, image)
                size = (image["height"], image["width"])
                fault = describe_fault(segmentation, size) or _fault_of_numbers(one)
            if fault is None:
                annotations.append(_complete({**one, "segmentation": segmentation}, size))
            else:
                where = f" of {image['file_name']}" if image else ""
                faults.append(f"annotation {one.get('id')}{where} {fault}")
        if faults:
            number = len(content["annotations"])
            raise ValueError(
                f"{self.ann_file}: {len(faults)} of {number} annotations cannot be used, first: "
                f"{faults[0]}"
            )
        self._count_left_out(annotations, images)
        return _of_one_kind(annotations, images)

    def _count_left_out(self, annotations: list[dict], images: dict[int, dict]) -> None:
        """Log how many objects mmdet leaves out of its list, and name the first."""
        left_out = [one for one in annotations if _is_left_out(one, images[one["image_id"]])]
        if left_out:
            first = left_out[0]
            print_log(
                f"{self.ann_file}: {len(left_out)} of {len(annotations)} annotations are left out, "
                "as their mask, or their box within the picture, is empty, first: annotation "
                f"{first.get('id')} of {images[first['image_id']]['file_name']}",
                logger="current",
                level=logging.WARNING,
            )

    def _picture_of(self, name: str, image: dict) -> RLE:
        """Read a mask that is a picture."""
        path = fileio.join_path(self.data_prefix.get("mask") or self.data_root or "", name)
        if not fileio.exists(path, self.backend_args):
            raise FileNotFoundError(
                f"{self.ann_file}: mask {path} of {image['file_name']} does not exist; set "
                'data_prefix=dict(mask="...")'
            )
        pixels = imfrombytes(fileio.get(path, self.backend_args), flag="unchanged")
        if pixels is None:
            raise ValueError(f"{self.ann_file}: mask {path} is no picture that can be read")
        mask = pixels if pixels.ndim == 2 else pixels[..., :3].any(2)
        encoded = mask_tools.encode(np.asfortranarray(mask != 0, np.uint8))
        return dict(size=encoded["size"], counts=encoded["counts"].decode())


def check_tables(content: dict, file: str) -> None:
    """Raise ValueError unless pictures and classes have numbers, and classes names, once each."""
    for table, keys in (("images", ("id",)), ("categories", ("id", "name")), ("annotations", ())):
        rows = content[table]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{file}: {table} is no list of objects with named fields")
        for key in keys:
            values = [row.get(key) for row in rows]
            if None in values:
                raise ValueError(
                    f"{file}: entry {values.index(None)} of {table} has no {key}, got "
                    f"{rows[values.index(None)]}"
                )
            value, times = max(
                Counter(map(str, values)).items(), key=lambda one: one[1], default=("", 0)
            )
            if times > 1:
                raise ValueError(f"{file}: {times} entries of {table} have the {key} {value!r}")


def check_classes(classes: Sequence[str], in_file: Sequence[str], file: str) -> None:
    """Compare a config's classes with those of an annotation file; classes left out are logged.

    Raises:
        ValueError: unless every class of the config is in the file, in the same order.
    """
    names = ", ".join(map(repr, in_file))
    remedy = f"its classes are {names}: name these in metainfo=dict(classes=...), or none"
    if isinstance(classes, str):
        raise ValueError(
            f"{file}: metainfo.classes is a text, got {classes!r}; ({classes!r},) is one class"
        )
    for name in classes:
        if list(classes).count(name) > 1:
            raise ValueError(f"{file}: metainfo.classes has {name!r} more than once")
        if name in in_file:
            continue
        folded = {one.strip().casefold(): one for one in in_file}
        close = get_close_matches(name.strip().casefold(), folded, 1)
        hint = f" (but {folded[close[0]]!r})" if close else ""
        raise ValueError(f"{file} has no class {name!r}{hint}; {remedy}")
    if [one for one in in_file if one in classes] != list(classes):
        raise ValueError(
            f"{file} has {', '.join(map(repr, classes))} in another order, which labels would "
            f"follow; {remedy}"
        )
    extra = [one for one in in_file if one not in classes]
    if extra:
        print_log(
            f"{file}: objects of classes that the config has not are left out: {', '.join(extra)}",
            logger="current",
        )


def describe_fault(segmentation: list | dict | None, size: tuple[int, int]) -> str | None:
    """Say what is wrong with a mask, in words that follow the annotation's name; None if nothing.

    Args:
        segmentation: polygons or run lengths.
        size: (H, W) of its picture.
    """
    if not segmentation:
        return "has no segmentation"
    if isinstance(segmentation, dict):
        return _fault_of_run_lengths(segmentation, size)
    if not isinstance(segmentation, list) or not all(isinstance(p, list) for p in segmentation):
        return "has a segmentation that is neither polygons, run lengths nor a file's name"
    for polygon in segmentation:
        if len(polygon) < 6 or len(polygon) % 2:
            return f"has a polygon of {len(polygon)} numbers; x and y of at least 3 corners"
        corners = np.array(polygon)
        if corners.dtype.kind not in "iuf" or not np.isfinite(corners).all():
            return "has a polygon of other things than finite numbers"
        corners = corners.reshape(-1, 2)
        low, high = corners.min(0), corners.max(0)
        if not (low >= -_MARGIN).all() or not (high <= np.array(size[::-1]) + _MARGIN).all():
            return (
                f"lies outside of its picture: x from {low[0]:g} to {high[0]:g}, y from "
                f"{low[1]:g} to {high[1]:g}, in {size[1]}x{size[0]} pixels"
            )
    return None


def _fault_of_run_lengths(segmentation: dict, size: tuple[int, int]) -> str | None:
    counts, found = segmentation.get("counts"), segmentation.get("size")
    if not isinstance(counts, list | str | bytes) or not isinstance(found, list | tuple):
        return "has run lengths without counts or size"
    if list(found) != list(size):
        return f"has run lengths for (height, width) {tuple(found)}, and its picture {size}"
    try:
        runs = np.array(counts) if isinstance(counts, list) else decode_counts(counts)
    except ValueError:
        return "has run lengths that are broken"
    if runs.dtype.kind not in "iu" or runs.ndim != 1 or runs.min() < 0:
        return "has run lengths that are broken"
    if runs.sum() != size[0] * size[1]:
        return f"has run lengths of {runs.sum()} pixels in all, not {size[0] * size[1]}"
    return None


def _fault_of_numbers(annotation: dict) -> str | None:
    """Say what is wrong with a box or an area, if they are given."""
    box, area = annotation.get("bbox"), annotation.get("area")
    if box is not None and not (
        isinstance(box, list) and len(box) == 4 and all(isinstance(side, Real) for side in box)
    ):
        return f"has a box that is not (x, y, width, height), {box}"
    if area is not None and not isinstance(area, Real):
        return f"has an area that is no number, {area!r}"
    return None


def _is_left_out(annotation: dict, image: dict) -> bool:
    """Whether mmdet's CocoDataset leaves an object out."""
    left, top, width, height = annotation["bbox"]
    within = min(left + width, image["width"]) > max(left, 0) and min(
        top + height, image["height"]
    ) > max(top, 0)
    return not within or annotation["area"] <= 0 or width < 1 or height < 1


def _complete(annotation: dict, size: tuple[int, int]) -> dict:
    """Fill in box, area and `iscrowd`."""
    given = {key: value for key, value in annotation.items() if value is not None}
    complete = {"iscrowd": 0, **given}
    if "bbox" not in complete or "area" not in complete:
        encoded = encode_segmentation(complete["segmentation"], size)
        complete.setdefault("area", float(mask_tools.area(encoded)))
        complete.setdefault("bbox", mask_tools.toBbox(encoded).tolist())
    return complete


def _of_one_kind(annotations: list[dict], images: dict[int, dict]) -> list[dict]:
    """Make polygons run lengths if some masks are; mmdet's boxes of a picture are of one kind."""
    if all(isinstance(one["segmentation"], list) for one in annotations):
        return annotations
    for one in annotations:
        segmentation = one["segmentation"]
        if isinstance(segmentation, list):
            image = images[one["image_id"]]
            encoded = encode_segmentation(segmentation, (image["height"], image["width"]))
            one["segmentation"] = {**encoded, "counts": encoded["counts"].decode()}
        elif isinstance(segmentation["counts"], bytes):
            one["segmentation"] = {**segmentation, "counts": segmentation["counts"].decode()}
    return annotations
