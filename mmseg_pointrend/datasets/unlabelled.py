"""Test pictures without label maps, found before a metric asks for one."""

import os
from collections.abc import Iterable
from typing import NamedTuple

from mmcv.transforms import LoadAnnotations
from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS, TRANSFORMS


class Labelled(NamedTuple):
    """How many pictures have label maps.

    Attributes:
        pictures: all.
        labelled: those that have one.
        first_without: the path of the first picture that has none; None if all have one.
    """

    pictures: int
    labelled: int
    first_without: str | None

    def __add__(self, other: tuple) -> "Labelled":
        """Count two data sets together."""
        pictures, labelled, first_without = other
        return Labelled(
            self.pictures + pictures,
            self.labelled + labelled,
            self.first_without or first_without,
        )


def count_labelled(configs: Iterable[dict]) -> Labelled:
    """Count the pictures of data sets that have label maps.

    The files of label maps are looked for, not read. A pipeline without `LoadAnnotations` may load
    labels in a way of its own: whether it does is seen by its first picture.

    Args:
        configs: of data sets without wrappers.
    """
    total = Labelled(0, 0, None)
    for config in configs:
        dataset = DATASETS.build(dict(config, lazy_init=True))
        records = dataset.load_data_list()
        if _reads_labels(config.get("pipeline") or ()):
            without = [record["img_path"] for record in records if not _has_labels(record, dataset)]
        elif records and _gives_labels(DATASETS.build(dict(config))[0]):
            without = []
        else:
            without = [record.get("img_path") for record in records]
        first = next(iter(without), None)
        total += Labelled(len(records), len(records) - len(without), first)
    return total


def without_labels(pipeline: Iterable[dict]) -> list[dict]:
    """Leave out the steps of a pipeline that read label maps, in `TestTimeAug`, too."""
    return [
        dict(step, transforms=[part for part in map(without_labels, step["transforms"]) if part])
        if _is_nested(step)
        else step
        for step in pipeline
        if not _is_label_step(step)
    ]


def _reads_labels(pipeline: Iterable[dict]) -> bool:
    return any(
        any(map(_reads_labels, step["transforms"])) if _is_nested(step) else _is_label_step(step)
        for step in pipeline
    )


def _is_nested(step: dict) -> bool:
    """Whether a step is a list of alternatives, each a list of steps, as `TestTimeAug` is."""
    parts = step.get("transforms")
    return isinstance(parts, list | tuple) and all(isinstance(part, list | tuple) for part in parts)


def _is_label_step(step: dict) -> bool:
    kind = step["type"]
    kind = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, LoadAnnotations)


def _has_labels(record: dict, dataset: BaseDataset) -> bool:
    path = record.get("seg_map_path")
    if path is None:
        return False
    # A look for each file is slow where files are not here: there they are taken to exist.
    elsewhere = "://" in str(path) or getattr(dataset, "backend_args", None)
    return bool(elsewhere) or os.path.isfile(path)


def _gives_labels(item: dict) -> bool:
    sample = item.get("data_samples")
    sample = sample[0] if isinstance(sample, list) else sample
    return sample is not None and "gt_sem_seg" in sample
