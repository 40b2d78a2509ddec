"""What a point head gains for a model that was there before, and what it costs."""

import json
import statistics
import time
from pathlib import Path

from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.apis.retrofit import Folder
from mmseg_pointrend.apis.retrofit.config import evaluators_with_bands
from mmseg_pointrend.apis.testing import test
from mmseg_pointrend.lab.figures.comparison import draw_comparison
from mmseg_pointrend.lab.labelled_pictures import load_test, predict_item
from mmseg_pointrend.lab.machine import usable_cores

#: Pictures whose predictions are timed.
TIMED_PICTURES = 10

#: Config, checkpoint, options of a model.
Model = tuple[str | Path, str | Path, dict]


def compare_before_after(
    base_config: str | Path, base_checkpoint: str | Path, folder: Folder, options: dict | None
) -> dict:
    """Test a base and its retrofit on the same data, time both, and draw what changes.

    Writes `report.json` and `comparison.png` into the folder, the tests' logs below it.

    Args:
        base_config: config of the base.
        base_checkpoint: its weights.
        folder: of the finished retrofit.
        options: dotted keys and values that override the base's config.

    Returns:
        `before` and `after`, metric -> value, of the metrics that both have; `milliseconds`, the
        median of a picture's prediction, before and after; and what was compared.

    Raises:
        FileNotFoundError: if the training is not finished.
    """
    evaluators = evaluators_with_bands(load_config(base_config, options))
    models: dict[str, Model] = dict(
        before=(base_config, base_checkpoint, dict(options or {}, test_evaluator=evaluators)),
        after=(folder.config, folder.checkpoint(), {}),
    )
    found = {
        name: test(config, checkpoint, folder.path / f"test_{name}", options=overrides)
        for name, (config, checkpoint, overrides) in models.items()
    }
    shared = [name for name in found["before"] if name in found["after"]]
    report = {
        name: {metric: round(float(values[metric]), 2) for metric in shared}
        for name, values in found.items()
    }
    report["milliseconds"] = time_predictions(models)
    report["of"] = dict(
        base_config=str(base_config),
        base_checkpoint=str(base_checkpoint),
        cores=usable_cores(),
    )
    draw_comparison(*models["after"][:2], folder.path / "comparison.png")
    (folder.path / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def time_predictions(models: dict[str, Model], count: int = TIMED_PICTURES) -> dict[str, float]:
    """Time models by turns on the same test pictures, without reading them.

    Args:
        models: by name; of each its config, checkpoint and options.
        count: how many pictures, from the first; all if there are fewer.

    Returns:
        name -> median of a picture's milliseconds.
    """
    built = {name: load_test(*model[:2], options=model[2]) for name, model in models.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    size = min(len(dataset) for _, dataset in built.values())
    # The first picture twice: the first time some things are made that stay.
    for number, index in enumerate([0, *range(min(count, size))]):
        for name, (model, dataset) in built.items():
            item = dataset[index]
            start = time.perf_counter()
            predict_item(model, item)
            if number:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: round(statistics.median(values), 1) for name, values in times.items()}


def format_before_after(report: dict) -> str:
    """Lay a report out as a table."""
    lines = [f"{'':26}{'before':>10}{'after':>10}{'gain':>10}"]
    rows = {name: [report[kind][name] for kind in ("before", "after")] for name in report["before"]}
    rows["milliseconds a picture"] = [report["milliseconds"][kind] for kind in ("before", "after")]
    for name, (before, after) in rows.items():
        gain = "" if "milliseconds" in name else f"{after - before:+.2f}"
        lines.append(f"{name:26}{before:10.2f}{after:10.2f}{gain:>10}")
    return "\n".join(lines)
