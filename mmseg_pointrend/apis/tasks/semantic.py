"""Semantic segmentation: mmsegmentation's models and data."""

from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

import mmseg_pointrend.evaluation  # registers RefinementMetric
import mmseg_pointrend.inference.predictions_hook  # noqa: F401 - registers PredictionsHook
from mmseg_pointrend.apis.configs import is_pointrend, names_type
from mmseg_pointrend.apis.evaluators import ignored_label, list_evaluators, metric_name
from mmseg_pointrend.apis.tasks import Files, Task
from mmseg_pointrend.datasets.found_pictures import find_pictures
from mmseg_pointrend.datasets.unlabelled import count_labelled, without_labels
from mmseg_pointrend.engine import innermost_datasets
from mmseg_pointrend.engine.type_names import type_name
from mmseg_pointrend.inference.folder import Wanted
from mmseg_pointrend.inference.job import JobSettings
from mmseg_pointrend.inference.palettes import class_names_of, palette_of
from mmseg_pointrend.inference.reading import step_name


class SemanticSegmentation(Task):
    """A label for each pixel."""

    title, scope = "semantic segmentation", "mmseg"
    data_hooks = ("LabelCheckHook", "RestoringHook")

    def check_data(self, config: Config, split: str) -> None:
        """See `Task.check_data`."""
        loader = config.get(f"{split}_dataloader")
        if not loader:
            return
        for leaf in innermost_datasets(loader.dataset):
            needs_classes = bool(config.get(f"{split}_evaluator"))
            find_pictures(leaf, f"{split}_dataloader.dataset", needs_classes)

    def prepare_test(
        self, config: Config, out: str | Path | None, show_dir: str | Path | None, tta: bool
    ) -> None:
        """See `Task.prepare_test`."""
        written = out is not None or show_dir is not None
        if written:
            _write_predictions(config, out, show_dir)
        if tta:
            _augment(config)
        _leave_unmeasured(config, written)
        _compare_with_coarse(config)

    def check_prediction(self, settings: JobSettings, files: Files) -> None:
        """See `Task.check_prediction`."""
        if files.score is not None:
            raise ValueError("score is for objects, which models of semantic segmentation lack")

    def is_pointrend(self, model: dict) -> bool:
        """See `Task.is_pointrend`: the decode head."""
        return is_pointrend(model)

    def class_names(self, config: Config, model: nn.Module) -> list[str]:
        """See `Task.class_names`."""
        return class_names_of(config, model.num_classes)

    def wanted(self, config: Config, model: nn.Module, files: Files) -> Wanted:
        """See `Task.wanted`."""
        palette = palette_of(config, model.num_classes)
        return Wanted(palette, files.colored, files.confidence, files.overlays)


def _write_predictions(config: Config, out: str | Path | None, show_dir: str | Path | None) -> None:
    """Let a hook write what is predicted; a metric that was only to do that is left out."""
    folders = dict(out=out and str(out), show_dir=show_dir and str(show_dir))
    config.custom_hooks = [*config.custom_hooks, dict(type="PredictionsHook", **folders)]
    evaluators = list_evaluators(config)
    if out is not None and any(evaluator.get("format_only") for evaluator in evaluators):
        config.test_evaluator = [
            evaluator
            for evaluator in evaluators
            if not evaluator.get("format_only") or evaluator.get("output_dir")
        ]


def _leave_unmeasured(config: Config, written: bool) -> None:
    """Measure nothing, and say so, if no picture has a label map; refuse it if only some have."""
    evaluators = list_evaluators(config)
    if not evaluators or any(evaluator.get("format_only") for evaluator in evaluators):
        return
    leaves = list(innermost_datasets(config.test_dataloader.dataset))
    found = count_labelled(leaves)
    without = found.pictures - found.labelled
    if not without:
        return
    which = (
        f"{without} of {found.pictures} pictures have no label map (first: {found.first_without})"
    )
    if found.labelled:
        raise ValueError(
            f"test_dataloader.dataset: {which}, so metrics would be of the others; leave these "
            "pictures out (ann_file lists those that count), or predict them by tools/predict.py"
        )
    if not written:
        raise ValueError(
            f"test_dataloader.dataset: {which}, so there is nothing to measure; with --out DIR or "
            "--show-dir DIR (out, show_dir) they are predicted and written"
        )
    print_log(f"test_dataloader.dataset: {which}: they are predicted, nothing is measured")
    config.test_evaluator = []
    for leaf in leaves:
        leaf.pipeline = without_labels(leaf.pipeline)


def _augment(config: Config) -> None:
    for key in ("tta_model", "tta_pipeline"):
        if key not in config:
            raise ValueError(
                f"tta needs {key} in the config, as mmsegmentation's data sets have it"
            )
    for leaf in innermost_datasets(config.test_dataloader.dataset):
        leaf.pipeline = _load_alike(config.tta_pipeline, leaf.pipeline)
    tta_model = dict(config.tta_model)
    # Other segmentors keep mmsegmentation's.
    if type_name(tta_model) == "SegTTAModel" and names_type(config.model, "EncoderDecoder"):
        tta_model["type"] = "PointRendTTA"
    config.model = dict(**tta_model, module=config.model)


def _load_alike(tta_pipeline: list[dict], pipeline: list[dict]) -> list[dict]:
    """Let test-time augmentation load images as the test pipeline does; a loader of its own stays.

    Data sets' `tta_pipeline` begins with a plain `LoadImageFromFile`, whatever was changed in the
    test pipeline.
    """
    first, *others = tta_pipeline
    if step_name(first) not in ("LoadImageFromFile", step_name(pipeline[0])):
        return tta_pipeline
    return [pipeline[0], *others]


def _compare_with_coarse(config: Config) -> None:
    """Measure the coarse prediction beside the refined one, wherever both and the truth are there.

    That is, for a `PointRend` that is tested alone or by `PointRendTTA`, unless the config sets
    `predict_coarse=False` or writes label maps without measuring (`format_only`).
    """
    model, evaluators = config.model, list_evaluators(config)
    if not evaluators:
        return
    if names_type(model, "PointRendTTA"):
        model = model.module
    if not names_type(model, "PointRend") or not model.get("predict_coarse", True):
        return
    # With "metrics", the config builds an evaluator of its own.
    if any(evaluator.get("format_only") or "metrics" in evaluator for evaluator in evaluators):
        return
    if model.get("output_scale", 1) != 1:
        raise ValueError(
            "model.output_scale must be 1 to measure predictions, as labels have the pictures' "
            f"size; got {model.output_scale}"
        )
    model.predict_coarse = True
    if any(metric_name(evaluator) == "RefinementMetric" for evaluator in evaluators):
        return
    ignored = ignored_label(evaluators)
    metric = dict(type="RefinementMetric", ignore_index=255 if ignored is None else ignored)
    config.test_evaluator = [*evaluators, metric]
