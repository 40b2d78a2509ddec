"""Count what a GPU would be asked to do by a mask branch, beside others."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

import torch
from torch import Tensor

from mmseg_pointrend.compat import plain_ops
from mmseg_pointrend.compat.roi_align import Sampling, roi_align
from mmseg_pointrend.lab.benchmark.counts_table import UNSEEN, count_lines
from mmseg_pointrend.lab.benchmark.device_counts import StageCounter, check_countable
from mmseg_pointrend.lab.benchmark.masks.benchmark import (
    build_mask_works,
    check_mask_settings,
    shapes_of,
)
from mmseg_pointrend.lab.benchmark.masks.works import MaskWork
from mmseg_pointrend.lab.benchmark.settings import Settings
from mmseg_pointrend.lab.counting.device_counter import DeviceCounter
from mmseg_pointrend.lab.counting.pretended_device import DEVICE


def count_masks(settings: Settings) -> dict:
    """Count the device's work from feature maps and boxes on.

    Args:
        settings: as for `benchmark_masks`; nothing is repeated.

    Returns:
        `settings`, and `boxes`: for each number `models`, for each its stages, and of each the
        counts of `DeviceWork`.

    Raises:
        FileNotFoundError: if there is no such config or checkpoint.
        ValueError: for a model or settings that cannot be counted.
    """
    check_countable(settings)
    check_mask_settings(settings)
    return dict(
        settings=asdict(settings),
        boxes={number: dict(models=_count(settings, number)) for number in settings.boxes},
    )


def format_mask_counts(report: dict) -> str:
    """Lay the report of `count_masks` out."""
    settings = report["settings"]
    shape, ori_shape = shapes_of(Settings(**settings))
    what = "training step" if settings["train"] else "prediction"
    lines = [
        f"What a GPU is asked to do: {what} of the mask branch, {settings['config']}",
        "  one picture, {}x{}".format(*shape)
        + ("" if settings["train"] else ", masks of {}x{}".format(*ori_shape))
        + ", float32",
        "  counted on the CPU, nothing was timed; RoIAlign as one kernel",
    ]
    for number, found in report["boxes"].items():
        lines += ["", f"{number} boxes", *count_lines(found["models"])]
    return "\n".join([*lines, "", *UNSEEN])


@torch.library.custom_op("mmseg_pointrend::roi_align", mutates_args=())
def _one_kernel(
    maps: Tensor, boxes: Tensor, size: list[int], scale: float, ratio: int, aligned: bool
) -> Tensor:
    return roi_align(maps, boxes, Sampling((size[0], size[1]), scale, ratio, aligned))


@contextmanager
def _compiled_roi_align() -> Iterator[None]:
    """Let RoIAlign be one operator, as it is where mmcv or torchvision are compiled."""

    def align(maps: Tensor, boxes: Tensor, sampling: Sampling) -> Tensor:
        size = list(sampling.size)
        return _one_kernel(maps, boxes, size, sampling.scale, sampling.ratio, sampling.aligned)

    plain_ops.roi_align = align
    try:
        yield
    finally:
        plain_ops.roi_align = roi_align


def _count(settings: Settings, boxes: int) -> dict[str, dict]:
    counter = DeviceCounter()
    with counter, _compiled_roi_align():
        works = build_mask_works(replace(settings, device=str(DEVICE)), boxes)
        return {name: _count_work(work, StageCounter(counter)) for name, work in works.items()}


def _count_work(work: MaskWork, stages: StageCounter) -> dict[str, dict]:
    stages.reset()
    if work.train:
        with stages.stage("losses"):
            loss = work.loss()
        with stages.stage("backward"):
            loss.backward()
    else:
        with stages.stage("masks"):
            work.masks()
    return {stage: asdict(found) for stage, found in stages.found.items()}
