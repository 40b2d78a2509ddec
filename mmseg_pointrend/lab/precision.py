"""What half precision and folding do to labels: how many differ, and whether they are worse."""

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from prettytable import PrettyTable
from torch import nn

from mmseg_pointrend.evaluation.functional import iou_per_class
from mmseg_pointrend.evaluation.measures import IoUMeasures, percent
from mmseg_pointrend.inference.network import AS_IT_IS, NetworkSettings, prepare_network
from mmseg_pointrend.lab.labelled_pictures import load_test, predict_item, true_labels

#: How the network is run, and in which half precision.
WAYS: dict[str, tuple[NetworkSettings, torch.dtype | None]] = {
    "float32": (AS_IT_IS, None),
    "float32, --fold": (NetworkSettings(fold=True), None),
    "--amp, bfloat16": (NetworkSettings(amp=True), torch.bfloat16),
    "--amp, float16": (NetworkSettings(amp=True), torch.float16),
    "--half, bfloat16": (NetworkSettings(half=True), torch.bfloat16),
    "--half, float16": (NetworkSettings(half=True), torch.float16),
}


@dataclass(frozen=True)
class Precision:
    """The labels of one precision.

    Attributes:
        name: one of `WAYS`.
        different: pixels whose label is not that of float32.
        pixels: pixels in all.
        miou: mean IoU of whole pictures, percent.
    """

    name: str
    different: int
    pixels: int
    miou: float


def compare_precisions(
    config_path: str | Path,
    checkpoint: str | Path,
    device: str | None = None,
    options: dict | None = None,
) -> list[Precision]:
    """Predict a config's test pictures in float32, with BatchNorms folded, and in half precision.

    Args:
        config_path: config file; its test data have labels.
        checkpoint: weights.
        device: where the model runs; by default a GPU if torch sees one.
        options: dotted config keys and values that override the file.

    Returns:
        float32 first; `--fold` only of models that have something to fold.

    Raises:
        FileNotFoundError: if the config, the checkpoint or a data folder does not exist.
        ValueError: for weights of another model, or no images.
    """
    model, dataset = load_test(config_path, checkpoint, device, options)
    models = _prepare_copies(model)
    measures = IoUMeasures(whole=True, ignore_index=model.decode_head.ignore_index)
    counts, different, pixels = [], [0] * len(models), 0
    for index in range(len(dataset)):
        item = dataset[index]
        labels = [predict_item(one, item) for one in models.values()]
        counts.append(measures.count(labels, true_labels(item), model.num_classes))
        pixels += labels[0].numel()
        for number, found in enumerate(labels):
            different[number] += int((found != labels[0]).sum())
    iou = iou_per_class(torch.stack(counts).sum(0))[:, 0]
    return [
        Precision(name, different[number], pixels, percent(iou[number]))
        for number, name in enumerate(models)
    ]


def _prepare_copies(model: nn.Module) -> dict[str, nn.Module]:
    """Copy a model, a network that runs in each of the ways; those that it cannot are left out."""
    models = {}
    for name, (settings, dtype) in WAYS.items():
        one = copy.deepcopy(model)
        with suppress(ValueError):  # nothing to fold
            prepare_network(one, settings, dtype)
            models[name] = one
    return models


def format_precisions(precisions: Sequence[Precision]) -> str:
    """Lay the comparison out, a line for each precision."""
    table = PrettyTable(["precision", "labels that differ from float32", "mIoU (%)"])
    for found in precisions:
        share = (
            f"{found.different} of {found.pixels} ({100 * found.different / found.pixels:.3f} %)"
        )
        table.add_row([found.name, share, f"{found.miou:.2f}"])
    table.align = "r"
    table.align["precision"] = "l"
    return table.get_string()
