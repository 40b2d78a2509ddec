"""The report of `benchmark` as text."""

from pathlib import Path

from mmseg_pointrend.lab.benchmark.peak_memory import MIB

_LABEL, _CELL = 40, 14


def format_benchmark(report: dict) -> str:
    """Lay a report out: what was measured, a table of medians, memory, and differing labels."""
    return "\n".join(
        [*_heading(report), "", *_times(report), "", *_memory(report), *_labels(report)]
    )


def _heading(report: dict) -> list[str]:
    settings, environment = report["settings"], report["environment"]
    what = "Training step" if settings["train"] else "Prediction"
    size = "{}x{}".format(*settings["shape"])
    if settings["ori_shape"] != settings["shape"]:
        size += ", labels {}x{}".format(*settings["ori_shape"])
    modes = ["mixed precision" if settings["amp"] else "float32"]
    modes += ["compiled network"] if settings["compile"] else []
    if settings["channels_last"] != "auto":
        modes.append(f"channels last {settings['channels_last']}")
    runs = f"{settings['repeat']} runs after {settings['warmup']}, {report['scenes']} scene(s)"
    if len(report["models"]) > 1:
        runs += f", {' and '.join(report['models'])} by turns"
    weights = report["weights"]
    if weights == "random":
        weights = "random: the labels mean nothing, the times do"
    lines = [
        f"{what}, {Path(settings['config']).stem}",
        f"  {settings['batch']} image(s) of {size}, {', '.join(modes)}",
        f"  device         {environment['device']}, {environment['threads']} thread(s), "
        f"torch {environment['torch']}",
        f"  weights        {weights}",
        f"  coarse logits  {report['logits']}",
        f"  measured       {runs}",
    ]
    return lines


def _times(report: dict) -> list[str]:
    models = report["models"]
    ours = models["ours"]
    names = [name for name in ours["median"] if not name.endswith("the coarse logits")]
    extra = [
        name for other in models.values() for name in other["median"] if name not in ours["median"]
    ]
    lines = [_line("milliseconds, medians", [*models, *_ratio_title(report)])]
    for name in [*extra, *names]:
        lines.append(_row(report, name, name))
    for label, index in (("  first quartile", 0), ("  third quartile", 1)):
        cells = [_ms(model["quartiles"]["total"][index]) for model in models.values()]
        lines.append(_line(label, cells))
    for label, choose in (("  fastest", min), ("  slowest", max)):
        lines.append(
            _line(label, [_ms(choose(model["seconds"]["total"])) for model in models.values()])
        )
    lines.append(
        _line("images per second", [f"{m['images_per_second']:.3g}" for m in models.values()])
    )
    after, until = "after the coarse logits", "until the coarse logits"
    if after in ours["median"]:
        lines += ["", _row(report, until, until), _row(report, after, after)]
        shares = [m["median"][after] / m["median"][until] for m in models.values()]
        lines.append(_line("  added to the time before", [f"{100 * s:.1f} %" for s in shares]))
    return lines


def _memory(report: dict) -> list[str]:
    models = report["models"]
    lines = [_line("peak memory, MiB", [*models, *_ratio_title(report)])]
    for part in models["ours"]["peak_memory"]:
        peaks = [model["peak_memory"][part] for model in models.values()]
        cells = [f"{peak / MIB:.1f}" for peak in peaks]
        if len(peaks) > 1 and peaks[0] > 0:
            cells.append(f"{peaks[1] / peaks[0]:.2f}")
        lines.append(_line(part, cells))
    return [*lines, f"  ({report['memory_is']}, above what was there before the run)"]


def _labels(report: dict) -> list[str]:
    if "labels" not in report:
        return []
    labels = report["labels"]
    text = f"Labels: {labels['different']} of {labels['pixels']} pixels differ"
    if labels["different"]:
        text += (
            f" ({100 * labels['share']:.2g} %); the largest difference of the two best logits "
            f"among these is {labels['largest_margin']:.2g}"
        )
    return ["", text]


def _row(report: dict, label: str, name: str) -> str:
    medians = [model["median"].get(name) for model in report["models"].values()]
    cells = ["-" if median is None else _ms(median) for median in medians]
    if name in report.get("ratios", {}):
        cells.append(f"{report['ratios'][name]:.2f}")
    return _line(label, cells)


def _ratio_title(report: dict) -> list[str]:
    others = [name for name in report["models"] if name != "ours"]
    return [f"{other} / ours" for other in others]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f}"


def _line(label: str, cells: list[str]) -> str:
    return (label.ljust(_LABEL) + "".join(cell.rjust(max(_CELL, 18)) for cell in cells)).rstrip()
