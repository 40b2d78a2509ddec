"""The run: settings chosen on validation pictures, then every method on each test picture."""

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmseg.registry import DATASETS
from torch import Tensor, nn

from mmseg_pointrend.apis.configs import is_pointrend, prepare_config
from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.apis.tasks import refuse_instances, task_of
from mmseg_pointrend.datasets.traced_pipeline import trace_pipelines
from mmseg_pointrend.evaluation.functional import iou_per_class
from mmseg_pointrend.evaluation.measures import IoUMeasures, percent
from mmseg_pointrend.lab.ablation.results_table import Row
from mmseg_pointrend.lab.alternatives.augmented import (
    COARSE_VIEWS,
    POINTREND_VIEWS,
    AugmentedPrediction,
)
from mmseg_pointrend.lab.alternatives.dense_crf import why_missing
from mmseg_pointrend.lab.alternatives.methods import COARSE, CRF, FIXED, TO_CHOOSE, Method
from mmseg_pointrend.lab.alternatives.network_result import run_network
from mmseg_pointrend.lab.labelled_pictures import load_test, predict_item, true_labels

#: Name, pictures, and what predicts the (1, H', W') labels of one, network included.
WholePrediction = tuple[str, Sequence[dict], Callable[[dict], Tensor]]
#: Pictures on which settings are chosen, unless told otherwise.
VALIDATION_PICTURES = 20
#: Half width of the band in which settings are compared, pixels.
BAND = 2
#: Median milliseconds of a picture: from the coarse logits on, and in all.
AFTER, WHOLE = "ms after the coarse map", "ms"


@dataclass(frozen=True)
class Comparison:
    """What came out for one checkpoint.

    Attributes:
        rows: a row for each method: what `IoUMeasures` counts, percent, and milliseconds.
        settings: method -> the settings that were chosen for it.
        left_out: method -> why it was not run.
    """

    rows: list[Row]
    settings: dict[str, str]
    left_out: dict[str, str]


@torch.no_grad()
def compare_alternatives(
    config_path: str | Path,
    checkpoint: str | Path,
    device: str | None = None,
    options: dict | None = None,
    seed: int = 0,
    validation_pictures: int = VALIDATION_PICTURES,
    trained: dict[str, tuple[str | Path, str | Path]] | None = None,
) -> Comparison:
    """Predict a config's test pictures by PointRend, and by what else sharpens its coarse map.

    All methods begin with the same coarse logits, by turns, picture after picture. What has
    settings takes those with the best mean IoU within 2 px of boundaries on validation pictures.

    Args:
        config_path: config file of a PointRend model; its data have labels.
        checkpoint: weights.
        device: where the model runs; by default a GPU if torch sees one.
        options: dotted config keys and values that override the file.
        seed: number of the checkpoint, for the rows.
        validation_pictures: how many, evenly from all, to choose settings on.
        trained: name -> config and weights of other models, which predict the same pictures whole.

    Raises:
        FileNotFoundError: if a config, a checkpoint or a data folder does not exist.
        ValueError: for a model without PointRend, sliding windows, no images or labels.
    """
    config = prepare_config(config_path, options=options)
    _check(config, config_path, validation_pictures)
    model, dataset = load_test(config_path, checkpoint, device, options)
    # The coarse map is predicted for all; labels alone, as in the other methods.
    model.predict_coarse = model.predict_logits = False
    left_out = {CRF: reason} if (reason := why_missing()) else {}
    families = {name: found for name, found in TO_CHOOSE.items() if name not in left_out}
    settings = choose_settings(model, _validation(config), families, validation_pictures)
    chosen = {name: families[name][found] for name, found in settings.items()}
    methods = {COARSE: FIXED[COARSE], **chosen, **FIXED}
    views = None
    if "tta_pipeline" in config and "tta_model" in config:
        views = AugmentedPrediction(model, config)
    else:
        reason = "the config has no tta_pipeline and tta_model"
        left_out |= {COARSE_VIEWS: reason, POINTREND_VIEWS: reason}
    whole = [] if views is None else views.methods()
    for name, (other_config, other_checkpoint) in (trained or {}).items():
        other = load_model(prepare_config(other_config), other_checkpoint, device)
        whole.append((name, dataset, functools.partial(predict_item, other)))
    metrics = _measure(model, dataset, methods, whole)
    rows = [Row(name, seed, found) for name, found in metrics.items()]
    return Comparison(rows, settings, left_out)


def choose_settings(
    model: nn.Module, dataset: Sequence[dict], families: dict[str, dict[str, Method]], count: int
) -> dict[str, str]:
    """Choose for each method the settings with the best mean IoU within 2 px of boundaries.

    Args:
        model: in evaluation mode.
        dataset: validation pictures with labels.
        families: name of a method -> its settings in words -> the method with them.
        count: how many pictures, evenly from all.

    Returns:
        name of a method -> settings.
    """
    places = [(name, settings) for name, found in families.items() for settings in found]
    measures = IoUMeasures(widths=(BAND,), ignore_index=model.decode_head.ignore_index)
    counts, count = [], min(count, len(dataset))
    for number in range(count):
        item = dataset[number * len(dataset) // count]
        found = run_network(model, item)
        labels = [families[name][settings](model, found) for name, settings in places]
        counts.append(measures.count(labels, true_labels(item), model.num_classes))
    scores = iou_per_class(torch.stack(counts).sum(0))[:, 0].nanmean(1).nan_to_num().tolist()
    by_place = dict(zip(places, scores, strict=True))
    return {
        name: max(found, key=lambda settings: by_place[name, settings])
        for name, found in families.items()
    }


def _check(config: Config, config_path: str | Path, validation_pictures: int) -> None:
    refuse_instances(config, "this comparison")
    if not is_pointrend(config.model):
        raise ValueError(f"{config_path} has no PointRend head, so there is nothing to compare")
    if (mode := config.model.get("test_cfg", {}).get("mode", "whole")) != "whole":
        raise ValueError(f"model.test_cfg.mode must be 'whole' for this comparison, got {mode!r}")
    if validation_pictures < 1:
        raise ValueError(f"validation_pictures must be >= 1, got {validation_pictures}")
    if not config.get("val_dataloader"):
        raise ValueError(f"{config_path} has no val_dataloader to choose settings on")
    task_of(config).check_data(config, "val")


def _validation(config: Config) -> Sequence[dict]:
    dataset = DATASETS.build(config.val_dataloader.dataset)
    trace_pipelines(dataset, "val_dataloader.dataset")
    return dataset


def _measure(
    model: nn.Module,
    dataset: Sequence[dict],
    methods: dict[str, Method],
    whole: Sequence[WholePrediction],
) -> dict[str, dict[str, float]]:
    """Count and time all methods, picture by picture: method -> metric -> value."""
    device = next(model.parameters()).device
    ignored = model.decode_head.ignore_index
    measures = IoUMeasures(whole=True, widths=(BAND,), distances=(0.02,), ignore_index=ignored)
    counts, times = [], []
    # The first picture twice: the first time some things are made that stay.
    for number, index in enumerate([0, *range(len(dataset))]):
        item, labels, spent = dataset[index], [], []
        found, network = _timed(device, run_network, model, item)
        for method in methods.values():
            predicted, after = _timed(device, method, model, found)
            labels.append(predicted)
            spent.append({AFTER: after, WHOLE: network + after})
        for _, pictures, predict in whole:
            predicted, all_of_it = _timed(device, predict, pictures[index])
            labels.append(predicted)
            spent.append({WHOLE: all_of_it})
        if number:
            counts.append(measures.count(labels, true_labels(item), model.num_classes))
            times.append(spent)
    iou = iou_per_class(torch.stack(counts).sum(0))
    return {
        name: dict(zip(measures.names, map(percent, iou[place]), strict=True))
        | _medians([spent[place] for spent in times])
        for place, name in enumerate([*methods, *(name for name, *_ in whole)])
    }


def _medians(times: Sequence[dict[str, float]]) -> dict[str, float]:
    return {kind: round(statistics.median(one[kind] for one in times), 1) for kind in times[0]}


def _timed(device: torch.device, function: Callable, *arguments: object) -> tuple:
    """Call a function; return what it returns, and its milliseconds."""
    start = _now(device)
    result = function(*arguments)
    return result, 1000 * (_now(device) - start)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif torch.get_num_threads() == 1:
        # Of the thread that does it all: what else the machine does counts for little.
        return time.thread_time()
    return time.perf_counter()
