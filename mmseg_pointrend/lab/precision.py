"""What half precision does to a model's labels: how many differ, and whether they are worse."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from prettytable import PrettyTable

from mmseg_pointrend.evaluation.functional import iou_per_class
from mmseg_pointrend.evaluation.measures import IoUMeasures, percent
from mmseg_pointrend.lab.labelled_pictures import load_test, predict_item, true_labels

#: What autocast is asked for, besides float32.
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """The labels of one precision.

    Attributes:
        name: "float32", or what autocast was asked for.
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
    """Predict a config's test pictures in float32, and with autocast in both half precisions.

    Args:
        config_path: config file; its test data have labels.
        checkpoint: weights.
        device: where the model runs; by default a GPU if torch sees one.
        options: dotted config keys and values that override the file.

    Returns:
        float32 first.

    Raises:
        FileNotFoundError: if the config, the checkpoint or a data folder does not exist.
        ValueError: for weights of another model, or no images.
    """
    model, dataset = load_test(config_path, checkpoint, device, options)
    names = ["float32", *HALVES]
    measures = IoUMeasures(whole=True, ignore_index=model.decode_head.ignore_index)
    counts, different, pixels = [], [0] * len(names), 0
    for index in range(len(dataset)):
        item = dataset[index]
        labels = [predict_item(model, item, HALVES.get(name)) for name in names]
        counts.append(measures.count(labels, true_labels(item), model.num_classes))
        pixels += labels[0].numel()
        for number, found in enumerate(labels):
            different[number] += int((found != labels[0]).sum())
    iou = iou_per_class(torch.stack(counts).sum(0))[:, 0]
    return [
        Precision(name, different[number], pixels, percent(iou[number]))
        for number, name in enumerate(names)
    ]


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
