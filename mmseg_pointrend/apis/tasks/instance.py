"""Instance segmentation: mmdet's two-stage detectors with masks, and data in COCO's form."""

import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS, MODELS, Registry
from torch import nn

import mmseg_pointrend.inference.predictions_hook  # registers PaintedObjectsHook
import mmseg_pointrend.instance  # noqa: F401 - registers the heads
from mmseg_pointrend.apis.evaluators import list_evaluators
from mmseg_pointrend.apis.tasks import Files, Task
from mmseg_pointrend.datasets.coco_files import find_annotations
from mmseg_pointrend.engine import innermost_datasets
from mmseg_pointrend.engine.type_names import type_name
from mmseg_pointrend.inference.instances import WantedObjects
from mmseg_pointrend.inference.job import JobSettings
from mmseg_pointrend.inference.palettes import complete_names, complete_palette
from mmseg_pointrend.inference.reading import step_name

#: Objects that are less sure are not written by predictions of files.
DEFAULT_SCORE = 0.3
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
        _compare_with_coarse(config)
        if out is not None:
            _write_results(config, Path(out))
        if show_dir is not None:
            config.custom_hooks = [
                *config.custom_hooks, dict(type="PaintedObjectsHook", show_dir=str(show_dir))
            ]  # fmt: skip

    def check_prediction(self, settings: JobSettings, files: Files) -> None:
        """See `Task.check_prediction`."""
        for name, asked in (
            ("window", settings.windows is not None),
            ("confidence", files.confidence),
            ("no-palette (colored=False)", not files.colored),
        ):
            if asked:
                raise ValueError(f"{name} is for label maps; objects are predicted without it")

    def is_pointrend(self, model: dict) -> bool:
        """See `Task.is_pointrend`: the mask head, or that of every stage."""
        return any(_pointrend_heads(model))

    def class_names(self, config: Config, model: nn.Module) -> list[str]:
        """See `Task.class_names`."""
        _, head = next(_class_heads(config.model))
        return complete_names(_metainfo_of(config).get("classes") or [], head["num_classes"])

    def wanted(self, config: Config, model: nn.Module, files: Files) -> WantedObjects:
        """See `Task.wanted`."""
        leaf = next(iter(innermost_datasets(config.test_dataloader.dataset)))
        _check_steps(leaf.get("pipeline") or (), "the test pipeline")
        _, head = next(_class_heads(config.model))
        palette = complete_palette(_metainfo_of(config).get("palette") or [], head["num_classes"])
        score = DEFAULT_SCORE if files.score is None else files.score
        return WantedObjects(self.class_names(config, model), palette, score, files.overlays)


def _metainfo_of(config: Config) -> dict:
    """Ask a config's test data for their classes and colours."""
    leaf = next(iter(innermost_datasets(config.test_dataloader.dataset)))
    return DATASETS.build(dict(leaf, lazy_init=True)).metainfo


def _compare_with_coarse(config: Config) -> None:
    """Let PointRend give the coarse masks, too, if a metric of the test measures them."""
    known = _of_mmdet(METRICS, "InstanceMaskMetric")
    if any(_is_a(evaluator, METRICS, known) for evaluator in list_evaluators(config)):
        predict_coarse_masks(config)


def predict_coarse_masks(config: Config) -> None:
    """Let PointRend's mask heads give the coarse masks, too, unless the config says otherwise."""
    for head in _pointrend_heads(config.model):
        head.setdefault("predict_coarse", True)


def _pointrend_heads(model: dict) -> Iterator[dict]:
    """List the mask heads that are PointRend's."""
    pointrend = _of_mmdet(MODELS, "PointRendMaskHead")
    yield from (head for _, head in _class_heads(model) if _is_a(head, MODELS, pointrend))


def _is_a(config: dict, registry: Registry, base: type) -> bool:
    found = _of_mmdet(registry, config["type"]) if "type" in config else None
    return isinstance(found, type) and issubclass(found, base)


def _write_results(config: Config, out: Path) -> None:
    """Let mmdet's metric write what it gathers: out/predictions.bbox.json and .segm.json."""
    theirs = METRICS.get("mmdet.CocoMetric")
    own = [evaluator for evaluator in list_evaluators(config) if _is_a(evaluator, METRICS, theirs)]
    out.mkdir(parents=True, exist_ok=True)
    if not own:
        own = [dict(type="CocoMetric", metric=["bbox", "segm"], format_only=True)]
        config.test_evaluator = [*list_evaluators(config), *own]
    own[0]["outfile_prefix"] = str(out / "predictions")


def _is_coco(leaf: dict) -> bool:
    return hasattr(_class_of(leaf), "COCOAPI")


def _takes_files_order(leaf: dict) -> bool:
    """Whether labels follow the annotation file's order: as long as nobody has changed that."""
    theirs = DATASETS.get("mmdet.CocoDataset")
    return _class_of(leaf).load_data_list is theirs.load_data_list


def _class_of(leaf: dict) -> type:
    return _of_mmdet(DATASETS, leaf["type"])


def _of_mmdet(registry: Registry, found: str | type) -> type:
    with registry.switch_scope_and_registry("mmdet") as own:
        return own.get(found) if isinstance(found, str) else found


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
