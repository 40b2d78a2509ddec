"""The comparison for the checkpoints of several seeds."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from mmengine.config import Config

from mmseg_pointrend.lab.ablation.results_table import format_markdown
from mmseg_pointrend.lab.ablation.run_folder import training_length
from mmseg_pointrend.lab.alternatives.comparing import VALIDATION_PICTURES, compare_alternatives
from mmseg_pointrend.lab.alternatives.peak_memory import measure_memory
from mmseg_pointrend.lab.alternatives.report import format_settings, write_report
from mmseg_pointrend.lab.machine import usable_cores


def compare_checkpoints(
    config_path: str | Path,
    checkpoints: Sequence[str | Path],
    folder: str | Path,
    device: str | None = None,
    options: dict | None = None,
    validation_pictures: int = VALIDATION_PICTURES,
    memory: bool = False,
    beside: Sequence[str | Path] = (),
) -> Iterator[str]:
    """Compare for each checkpoint, and write what is known after each.

    Args:
        config_path: config file of a PointRend model; its data have labels.
        checkpoints: weights, of one seed each.
        folder: for `alternatives.csv`, `.md`, `.json` and `.png`.
        device: where the models run; by default a GPU if torch sees one.
        options: dotted config keys and values that override the file.
        validation_pictures: how many, evenly from all, to choose settings on.
        memory: measure each method's memory, too, with the first checkpoint.
        beside: folders of trainings of `lab.ablation` (runs/<name>), with a folder for each seed:
            models that predict the same pictures, the n-th seed beside the n-th checkpoint.

    Yields:
        after each checkpoint what to tell: settings, what was left out, the table so far.

    Raises:
        FileNotFoundError: if the config, a checkpoint or a data folder does not exist.
        ValueError: for a model without PointRend, sliding windows, no images or labels.
    """
    comparisons = []
    trained = [_trained(beside, place) for place in range(len(checkpoints))]
    of = dict(
        config=str(config_path),
        checkpoints=[str(checkpoint) for checkpoint in checkpoints],
        beside=[str(folder) for folder in beside],
        validation_pictures=validation_pictures,
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )
    for seed, checkpoint in enumerate(checkpoints):
        found = compare_alternatives(
            config_path, checkpoint, device, options, seed, validation_pictures, trained[seed]
        )
        if memory and not comparisons:
            model = (config_path, checkpoint, device, options)
            found = dataclasses.replace(
                found, rows=measure_memory(found.rows, found.settings, *model)
            )
        comparisons.append(found)
        files = write_report(folder, comparisons, of)
        rows = [row for one in comparisons for row in one.rows]
        written = "Written: " + ", ".join(map(str, files))
        said = [str(checkpoint), format_settings(found), "", format_markdown(rows), written]
        yield "\n".join(said)


def _trained(folders: Sequence[str | Path], place: int) -> dict[str, tuple[Path, Path]]:
    """Find config and weights of the training with the seed at a place, of each folder."""
    found = {}
    for folder in map(Path, folders):
        seeds = sorted(folder.glob("seed-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        if place >= len(seeds):
            raise FileNotFoundError(
                f"{folder} has {len(seeds)} folders seed-<number>, each checkpoint needs one"
            )
        config = seeds[place] / "config.py"
        unit, length = training_length(Config.fromfile(str(config)))
        checkpoint = seeds[place] / f"training/{unit}_{length}.pth"
        if not checkpoint.is_file():
            raise FileNotFoundError(f"{checkpoint} does not exist: that training is not finished")
        found[folder.name] = (config, checkpoint)
    return found
