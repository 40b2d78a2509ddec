"""Counts of a device's work as text."""

from collections.abc import Mapping
from pathlib import Path

from mmseg_pointrend.lab.benchmark.augmented import SCALES
from mmseg_pointrend.lab.benchmark.peak_memory import MIB
from mmseg_pointrend.lab.counting.device_counter import DeviceWork
from mmseg_pointrend.lab.counting.predicted_time import seconds_of_host, seconds_of_memory

#: What the counts leave open.
UNSEEN = (
    "One operator of torch's dispatcher is one launch here, though some are several kernels (topk,",
    "sort, nonzero). What kernels need beside their results, what overlaps, and what torch's",
    "allocator keeps is not seen. Bytes are those of perfect caches: each operator reads what it",
    "needs and writes its results once. A host sync is counted wherever the host has to wait.",
    "Predictions: 5 to 10 us for a launch and 20 to 50 us for a sync from Python; bytes at 2 TB/s",
    "(an 80 GB card) and 0.3 TB/s (a small one). The two overlap; arithmetic is not in them.",
)
_PREDICTIONS = (
    ("launches and syncs", seconds_of_host),
    ("bytes, large to small card", seconds_of_memory),
)

_ROWS = (
    ("kernel launches", "launches", 1),
    ("host syncs", "syncs", 1),
    ("read, MiB", "read", MIB),
    ("written, MiB", "written", MIB),
    ("peak of memory, MiB", "peak", MIB),
    ("largest tensor, MiB", "largest", MIB),
)


def format_counts(report: dict) -> str:
    """Lay the report of `count_work` out."""
    settings = report["settings"]
    what = "training step" if settings["train"] else "prediction after the coarse logits"
    what = f"test-time augmentation, {2 * len(SCALES)} views" if settings["tta"] else what
    size = "{}x{}".format(*settings["shape"])
    if settings["ori_shape"] != settings["shape"]:
        size += ", labels {}x{}".format(*settings["ori_shape"])
    return "\n".join(
        [
            f"What a GPU is asked to do: {what}, {Path(settings['config']).stem}",
            f"  {settings['batch']} image(s) of {size}, float32",
            f"  coarse logits  {report['logits']}",
            "  counted on the CPU, nothing was timed",
            "",
            *count_lines(report["models"]),
            *_compiled_lines(report.get("compiled")),
            "",
            *UNSEEN,
        ]
    )


def _compiled_lines(compiled: dict | None) -> list[str]:
    """Say what compiled rendering stores."""
    if compiled is None:
        return []
    stored, allocated, largest = (
        f"{compiled[name] / MIB:.0f} MiB" for name in ("stored", "allocated", "largest")
    )
    return [
        "",
        f"Rendering as torch.compile writes it for this CPU: {stored} stored, in buffers of",
        f"{allocated} together, of which the largest has {largest}.",
    ]


def count_lines(models: Mapping[str, Mapping[str, dict]]) -> list[str]:
    """Lay counts out side by side.

    Args:
        models: model -> stage -> counts.
    """
    stages = list(dict.fromkeys(stage for found in models.values() for stage in found))
    title = [*models, *(f"{name} / ours" for name in models if name != "ours")]
    lines = [_line("", title)]
    totals = {name: _total(found) for name, found in models.items()}
    for stage in [*stages, "total"] if len(stages) > 1 else stages:
        lines.append(stage)
        for label, key, unit in _ROWS:
            counts = [
                (totals[name] if stage == "total" else found.get(stage, {})).get(key)
                for name, found in models.items()
            ]
            lines.append(_line(f"  {label}", _cells(counts, unit)))
    lines.append("predicted, not measured, ms")
    for label, predict in _PREDICTIONS:
        spans = (predict(DeviceWork(**counts)) for counts in totals.values())
        cells = [f"{1e3 * span.least:.2f} to {1e3 * span.most:.2f}" for span in spans]
        lines.append(_line(f"  {label}", cells))
    return lines


def _total(found: Mapping[str, dict]) -> dict:
    return vars(sum((DeviceWork(**counts) for counts in found.values()), DeviceWork()))


def _cells(counts: list[int | None], unit: int) -> list[str]:
    cells = ["-" if c is None else f"{c}" if unit == 1 else f"{c / unit:.1f}" for c in counts]
    ours, *others = counts
    ratios = [f"{other / ours:.2f}" if ours and other is not None else "" for other in others]
    return [*cells, *ratios]


def _line(label: str, cells: list[str]) -> str:
    return (label.ljust(30) + "".join(cell.rjust(18) for cell in cells)).rstrip()
