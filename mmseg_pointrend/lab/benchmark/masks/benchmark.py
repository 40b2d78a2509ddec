"""Measure the mask branch of an instance model, beside others, for several numbers of boxes."""

import statistics
import time
from dataclasses import asdict, dataclass

import torch

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.lab.benchmark.masks.branches import build_branches
from mmseg_pointrend.lab.benchmark.masks.works import MaskWork
from mmseg_pointrend.lab.benchmark.peak_memory import (
    MIB,
    describe_measurement,
    in_new_process,
    measure_peak,
)
from mmseg_pointrend.lab.benchmark.settings import Settings, describe_environment
from mmseg_pointrend.lab.image_shapes import image_shape

#: What mmdet's test pipeline makes of a picture of 480x730.
_SHAPE, _ORI_SHAPE = (800, 1216), (480, 730)


@dataclass(frozen=True)
class _Case:
    """What is measured at a time."""

    settings: Settings
    boxes: int


def benchmark_masks(settings: Settings) -> dict:
    """Measure the mask branch: all that follows the feature maps and the boxes.

    Args:
        settings: `boxes` are the numbers of boxes; of the others `config`, `checkpoint`, `shape`,
            `ori_shape`, `repeat`, `warmup`, `device`, `threads`, `amp`, `train`, `versus` and
            `options` count.

    Returns:
        `settings` and `environment`, and `boxes`: for each number `models` with the runs
        (`seconds`), their `median` and `peak_memory` (bytes), `ratios` to ours, and for "upstream"
        in prediction `masks`, how many pixels differ.

    Raises:
        FileNotFoundError: if there is no such config or checkpoint.
        ValueError: for a model or settings that cannot be measured.
    """
    check_mask_settings(settings)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    measured = [_measure(_Case(settings, number)) for number in settings.boxes]
    return dict(
        settings=asdict(settings),
        environment=describe_environment(settings),
        memory_is=describe_measurement(settings.torch_device),
        boxes=dict(zip(settings.boxes, measured, strict=True)),
    )


def check_mask_settings(settings: Settings) -> None:
    """Refuse settings that a mask branch does not have.

    Raises:
        ValueError: naming the setting.
    """
    for name in ("compile", "logits"):
        if getattr(settings, name):
            raise ValueError(f"{name} is for semantic models; leave it out")
    for number in settings.boxes:
        if number < 1:
            raise ValueError(f"boxes must be >= 1, got {number}")


def _measure(case: _Case) -> dict:
    settings, works = case.settings, build_mask_works(case.settings, case.boxes)
    first = {name: work.run() for name, work in works.items()}
    runs: dict[str, list[float]] = {name: [] for name in works}
    for number in range(-settings.warmup, settings.repeat):
        for name in list(works)[:: 1 if number % 2 else -1]:
            start = time.perf_counter()
            works[name].run()
            if number >= 0:
                runs[name].append(time.perf_counter() - start)
    found: dict = dict(models={})
    for name in works:
        found["models"][name] = dict(
            seconds=runs[name],
            median=statistics.median(runs[name]),
            peak_memory=_memory(case, name, works[name]),
        )
    ours = found["models"]["ours"]
    found["ratios"] = {
        name: model["median"] / ours["median"]
        for name, model in found["models"].items()
        if name != "ours"
    }
    if settings.versus == "upstream" and not settings.train:
        different = int((first["ours"] != first["upstream"]).sum())
        found["masks"] = dict(pixels=int(first["upstream"].sum()), different=different)
    return found


def build_mask_works(settings: Settings, boxes: int) -> dict[str, MaskWork]:
    """Build the branches that are asked for, "ours" first, and give them so many boxes."""
    config = prepare_config(settings.config, options=settings.options)
    shape, ori_shape = shapes_of(settings)
    branches = build_branches(config, settings.versus, settings.checkpoint)
    return {
        name: MaskWork(
            branch, config, boxes, shape, ori_shape, settings.train, settings.amp,
            settings.torch_device,
        )
        for name, branch in branches.items()
    }  # fmt: skip


def shapes_of(settings: Settings) -> tuple[tuple[int, int], tuple[int, int]]:
    """(H, W) of the network's input, and of the masks."""
    shape = _SHAPE if settings.shape is None else image_shape(settings.shape)
    return shape, _ORI_SHAPE if settings.ori_shape is None else image_shape(settings.ori_shape)


def _memory(case: _Case, name: str, work: MaskWork) -> int:
    if case.settings.device != "cpu":
        return measure_peak(work.run, case.settings.torch_device)
    return in_new_process(_peak_in_process, case, name)


def _peak_in_process(case: _Case, name: str) -> int:
    if case.settings.threads is not None:
        torch.set_num_threads(case.settings.threads)
    # A small run loads the libraries' code.
    build_mask_works(case.settings, 1).pop(name).run()
    work = build_mask_works(case.settings, case.boxes).pop(name)
    return measure_peak(work.run, case.settings.torch_device)


def format_masks(report: dict) -> str:
    """Lay a report out as text."""
    settings, environment = report["settings"], report["environment"]
    shape, ori_shape = shapes_of(Settings(**settings))
    what = "Training step" if settings["train"] else "Prediction"
    lines = [
        f"{what} of the mask branch, {settings['config']}",
        f"  one picture, {shape[0]}x{shape[1]}"
        + ("" if settings["train"] else f", masks of {ori_shape[0]}x{ori_shape[1]}")
        + (", bfloat16" if settings["amp"] else ", float32"),
        f"  device   {environment['device']}, {environment['threads']} thread(s), "
        f"torch {environment['torch']}",
        f"  weights  {settings['checkpoint'] or 'random'}, features and boxes random",
        f"  measured {settings['repeat']} runs after {settings['warmup']}, by turns; medians",
        "",
    ]
    names = list(next(iter(report["boxes"].values()))["models"])
    title = "".join(f"{name + ', s':>18}{'MiB':>9}" for name in names)
    title += "".join(f"{name + ' / ours':>24}" for name in names[1:])
    lines.append(f"{'boxes':>6}{title}")
    for number, found in report["boxes"].items():
        models = found["models"].values()
        line = "".join(
            f"{m['median']:>18.3f}{m['peak_memory'] / MIB:>9.0f}" for m in models
        ) + "".join(f"{ratio:>24.2f}" for ratio in found["ratios"].values())
        lines.append(f"{number:>6}{line}")
    lines.append(f"  (MiB: {report['memory_is']}, above what was there before the run)")
    for number, found in report["boxes"].items():
        if "masks" in found:
            masks = found["masks"]
            lines.append(
                f"Masks of {number} boxes: {masks['different']} pixels differ, "
                f"{masks['pixels']} belong to masks"
            )
    return "\n".join(lines)
