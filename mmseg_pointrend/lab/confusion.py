"""Which classes a model takes for which: a confusion matrix over the test pictures."""

import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmseg_pointrend.lab.labelled_pictures import load_test, predict_item, true_labels


def count_confusions(
    config_path: str | Path,
    checkpoint: str | Path,
    device: str | None = None,
    options: dict | None = None,
) -> tuple[list[str], Tensor]:
    """Predict a config's test pictures, and count what their pixels are taken for.

    Args:
        config_path: config file; its test data have labels.
        checkpoint: weights.
        device: where the model runs; by default a GPU if torch sees one.
        options: dotted config keys and values that override the file.

    Returns:
        the names of the K classes, and (K, K) int64: pixels by their true class (rows) and the
        predicted one (columns). Ignored pixels are in none.

    Raises:
        FileNotFoundError: if the config, the checkpoint or a data folder does not exist.
        ValueError: for weights of another model, or no images or labels.
    """
    model, dataset = load_test(config_path, checkpoint, device, options)
    count = model.num_classes
    names = dataset.metainfo.get("classes") or [str(label) for label in range(count)]
    total = torch.zeros(count, count, dtype=torch.int64)
    for index in range(len(dataset)):
        item = dataset[index]
        truth, found = true_labels(item).long().flatten(), predict_item(model, item).flatten()
        known = (truth != model.decode_head.ignore_index) & (truth < count)
        pairs = truth[known] * count + found[known]
        total += torch.bincount(pairs, minlength=count**2).view(count, count)
    return list(names), total


def format_confusions(names: Sequence[str], confusions: Tensor, most: int = 3) -> str:
    """Say of each class which share of it is found, and what it is most often taken for."""
    lines = []
    for label, (name, row) in enumerate(zip(names, confusions.tolist(), strict=True)):
        pixels = sum(row)
        if not pixels:
            lines.append(f"{name}: not there")
            continue
        wrong = [(count, names[k]) for k, count in enumerate(row) if k != label and count]
        taken = [f"{other} {100 * count / pixels:.2f} %" for count, other in sorted(wrong)[::-1]]
        text = f"{name}: {100 * row[label] / pixels:.2f} % found"
        lines.append(text + (f"; taken for {', '.join(taken[:most])}" if taken else ""))
    return "\n".join(lines)


def write_confusions(path: str | Path, names: Sequence[str], confusions: Tensor) -> None:
    """Write the numbers of pixels as CSV: a row for each true class, columns as predicted."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *names])
        for name, row in zip(names, confusions.tolist(), strict=True):
            writer.writerow([name, *row])
