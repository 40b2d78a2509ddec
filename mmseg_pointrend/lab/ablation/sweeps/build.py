"""From a sweep's name and a config to the sweep."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.apis.tasks import task_of
from mmseg_pointrend.lab.ablation.sweeps.alternatives import alternatives
from mmseg_pointrend.lab.ablation.sweeps.coarse_models import boundary_widths, coarse_heads
from mmseg_pointrend.lab.ablation.sweeps.head_settings import (
    point_head,
    resolution_and_points,
    resolution_and_points_of_boxes,
    strategies,
    uncertainty,
)
from mmseg_pointrend.lab.ablation.sweeps.mask_heads import larger_models, mask_heads
from mmseg_pointrend.lab.ablation.sweeps.sweep import Sweep, UnfitConfigError
from mmseg_pointrend.lab.ablation.sweeps.two_classes import two_classes
from mmseg_pointrend.lab.ablation.tasks import INSTANCE, SEMANTIC, swept_task

Build = Callable[[Config, Path], Sweep]
#: Title of a task -> its sweeps by name.
SWEEPS: dict[str, dict[str, Build]] = {
    SEMANTIC.title: {
        "strategies": strategies,
        "resolution-and-points": resolution_and_points,
        "coarse-heads": coarse_heads,
        "boundary-widths": boundary_widths,
        "point-head": point_head,
        "uncertainty": uncertainty,
        "alternatives": alternatives,
        "two-classes": two_classes,
    },
    INSTANCE.title: {
        "mask-heads": mask_heads,
        "strategies": strategies,
        "resolution-and-points": resolution_and_points_of_boxes,
        "larger-models": larger_models,
    },
}


def sweeps_of(config: Config) -> Mapping[str, Build]:
    """List the sweeps of a config's task by name, whether or not they have a baseline for it."""
    return SWEEPS[swept_task(config).title]


def build_sweep(name: str, config_path: str | Path, options: dict | None = None) -> Sweep:
    """Make a sweep for a config.

    Args:
        name: of a sweep of the config's task, see `SWEEPS`.
        config_path: config file of a PointRend model.
        options: dotted config keys and values that override the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for an unknown sweep, a model without PointRend, or a config without a known
            baseline, or of more than two classes, where the sweep needs these.
    """
    config = load_config(config_path, options)
    task, sweeps = swept_task(config), sweeps_of(config)
    if name not in sweeps:
        raise ValueError(f"sweep of {task.title} must be one of {list(sweeps)}, got {name!r}")
    found = task_of(config).is_pointrend(config.model)
    if not found or "steps" not in (task.head_of(config).get("subdivision") or ()):
        raise ValueError(
            f"config {config_path} must have a PointRend model with a number of steps "
            f"({task.head}.subdivision.steps)"
        )
    return sweeps[name](config, Path(config_path))


def fitting_sweeps(config_path: str | Path, options: dict | None = None) -> list[str]:
    """List the sweeps that a config can take: a known baseline or two classes are not in all.

    Args:
        config_path: config file of a PointRend model.
        options: dotted config keys and values that override the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a model without PointRend.
    """
    fitting = []
    for name in sweeps_of(load_config(config_path, options)):
        with contextlib.suppress(UnfitConfigError):
            build_sweep(name, config_path, options)
            fitting.append(name)
    return fitting
