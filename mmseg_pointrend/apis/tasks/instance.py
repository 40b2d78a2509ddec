"""Instance segmentation: mmdet's two-stage detectors with masks, and data in COCO's form."""

import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS

import mmseg_pointrend.instance  # noqa: F401 - registers the heads
from mmseg_pointrend.apis.evaluators import list_evaluators
from mmseg_pointrend.apis.tasks import Task
from mmseg_pointrend.datasets.coco_files import find_annotations
from mmseg_pointrend.engine import innermost_datasets
from mmseg_pointrend.engine.type_names import type_name
from mmseg_pointrend.inference.reading import step_name

#: What mmdet undoes in its predictions, or has nothing to undo.
_UNDONE = frozenset({"Resize", "FixScaleResize", "Pad"})
#: What moves the picture otherwise.
_MOVES = ("Crop", "Flip", "Rotate", "Shear", "Translate", "Affine", "Mosaic", "MixUp", "Expand",
          "CopyPaste", "YOLOXHSV")  # fmt: skip


class InstanceSegmentation(Task):
    """A box, a class, a score and a mask for each object."""

    title, scope = "instance segmentation", "mmdet"
    data_hooks = ("AnnotationCheckHook",)

    def check_data(self, config: Config, split: str) -> None:
        """See `Task.check_data`."""
        loader = config.get(f"{split}_dataloader")
        if not loader:
            return
        name = f"{split}_dataloader.dataset"
        for leaf in innermost_datasets(loader.dataset):
            if not _is_coco(leaf):
                raise ValueError(
                    f"{name}: {type_name(leaf)} is no data set of COCO's form (mmdet's CocoDataset)"
                )
            if split != "train":
                _check_steps(leaf.get("pipeline") or (), f"{name}.pipeline")
            _check_classes(config, find_annotations(leaf, name, _takes_files_order(leaf)), name)
        for evaluator in list_evaluators(config, split):
            file = evaluator.get("ann_file")
            if file and "://" not in file and not os.path.isfile(file):
                raise FileNotFoundError(f"{split}_evaluator: ann_file {file} does not exist")

    def prepare_test(
        self, config: Config, out: str | Path | None, show_dir: str | Path | None, tta: bool
    ) -> None:
        """See `Task.prepare_test`."""
        if tta:
            raise ValueError(
                "tta: mmdet merges the boxes of several views, and no masks: test instance "
                "segmentation without it"
            )
        if out is not None or show_dir is not None:
            raise ValueError("out and show_dir are for label maps")


def _is_coco(leaf: dict) -> bool:
    return hasattr(_class_of(leaf), "COCOAPI")


def _takes_files_order(leaf: dict) -> bool:
    """Whether labels follow the annotation file's order: as long as nobody has changed that."""
    theirs = DATASETS.get("mmdet.CocoDataset")
    return _class_of(leaf).load_data_list is theirs.load_data_list


def _class_of(leaf: dict) -> type:
    with DATASETS.switch_scope_and_registry("mmdet") as registry:
        return registry.get(leaf["type"]) if isinstance(leaf["type"], str) else leaf["type"]


def _check_classes(config: Config, dataset: object, name: str) -> None:
    """Compare the number of a data set's classes with the heads'."""
    number = len(dataset.metainfo.get("classes") or ())
    for key, head in _class_heads(config.model):
        if head.get("num_classes", number) != number:
            raise ValueError(
                f"{key}.num_classes={head['num_classes']}, but {type(dataset).__name__} "
                f"({name}) has {number} classes; set model.{key}.num_classes={number}"
            )


def _class_heads(model: dict) -> Iterator[tuple[str, dict]]:
    """List the heads that count classes, by their keys."""
    roi_head = model.get("roi_head") or {}
    for part in ("bbox_head", "mask_head"):
        found = roi_head.get(part) or []
        if isinstance(found, list | tuple):
            for number, head in enumerate(found):
                yield f"roi_head.{part}.{number}", head
        else:
            yield f"roi_head.{part}", found


def _check_steps(pipeline: list[dict], name: str) -> None:
    """Refuse steps that mmdet does not undo in its predictions."""
    for step in map(step_name, pipeline):
        if step not in _UNDONE and any(part in step for part in _MOVES):
            raise ValueError(
                f"{name}: {step} moves the picture, and mmdet does not bring predictions back: "
                "leave it out; Resize and Pad are undone"
            )
