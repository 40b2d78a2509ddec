"""What each method needs beside the network's result: in a process of its own for each."""

from pathlib import Path

import torch

from mmseg_pointrend.lab.ablation.results_table import Row
from mmseg_pointrend.lab.alternatives.methods import FIXED, TO_CHOOSE
from mmseg_pointrend.lab.alternatives.network_result import run_network
from mmseg_pointrend.lab.benchmark.peak_memory import MIB, in_new_process, measure_peak
from mmseg_pointrend.lab.labelled_pictures import load_test

#: Peak from the coarse logits on, of the first test picture.
MEMORY = "MiB after the coarse map"


def measure_memory(
    rows: list[Row],
    settings: dict[str, str],
    config_path: str | Path,
    checkpoint: str | Path,
    device: str | None = None,
    options: dict | None = None,
) -> list[Row]:
    """Add what each method needs at its peak, on top of what the network has left.

    Args:
        rows: of `compare_alternatives`.
        settings: that it has chosen.
        config_path: of the model.
        checkpoint: its weights.
        device: where the model runs.
        options: dotted config keys and values that override the file.

    Returns:
        the rows with one metric more, `MEMORY`, of all methods but flips and scales.
    """
    measured = []
    for row in rows:
        metrics = dict(row.metrics)
        if row.variant in FIXED or row.variant in settings:
            place = (row.variant, settings.get(row.variant))
            model = (str(config_path), str(checkpoint), device, options)
            metrics[MEMORY] = round(in_new_process(_peak, place, model) / MIB, 1)
        measured.append(Row(row.variant, row.seed, metrics))
    return measured


@torch.no_grad()
def _peak(place: tuple[str, str | None], of_model: tuple) -> int:
    name, settings = place
    method = FIXED[name] if settings is None else TO_CHOOSE[name][settings]
    model, dataset = load_test(*of_model)
    found = run_network(model, dataset[0])
    method(model, found)  # loads the libraries' code
    device = next(model.parameters()).device
    return measure_peak(lambda: method(model, found), device)
