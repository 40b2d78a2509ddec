"""Other settings of the head that PointRend is in: points, steps, point head, uncertainty."""

from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from mmseg_pointrend.core import MARGINS, TRAINING_STRATEGIES, Subdivision, TrainingPoints
from mmseg_pointrend.lab.ablation.sweeps.sweep import AS_CONFIGURED, Sweep, Training
from mmseg_pointrend.lab.ablation.tasks import SEMANTIC, swept_task
from mmseg_pointrend.lab.defaults import default_of

#: N as shares of the pixels, a factor of 4 apart as in Table 3; 1/256 is the rule of sec. 5.
POINT_SHARES = (1024, 256, 64, 16)
#: Square roots of N for a box, Table 3.
POINT_SIDES = (14, 28, 56, 112)
DEPTHS = (0, 1, 3, 5)
CHANNELS = (64, 256)


def strategies(config: Config, _: Path) -> Sweep:
    """Vary how training points are chosen."""
    task = swept_task(config)
    key = f"{task.head}.training_points"
    points = task.head_of(config).get("training_points") or {}
    numbers = ("strategy", "oversample_ratio", "importance_sample_ratio")
    own = TrainingPoints(**{name: points.get(name) for name in numbers}).bias
    # Numbers of the config would contradict the names.
    cleared = {f"{key}.{name}": None for name in numbers[1:] if name in points}
    trainings = []
    for name, bias in TRAINING_STRATEGIES.items():
        if bias == own:
            trainings.append(Training(AS_CONFIGURED, {name: {}}))
        else:
            options = cleared | {f"{key}.strategy": name}
            trainings.append(Training(f"strategy_{name}", {name: {}}, options))
    return Sweep("Training points", "Table 4", tuple(trainings))


def resolution_and_points(config: Config, _: Path) -> Sweep:
    """Vary the steps of the rendering, from the coarse map on, and N as a share of the pixels."""
    shares = {f"1-of-{share}": 1 / share for share in POINT_SHARES}
    return _steps_and_points(config, 0, shares)


def resolution_and_points_of_boxes(config: Config, _: Path) -> Sweep:
    """Vary the steps, from the first mask that is predicted in full on, and N for a box."""
    head = swept_task(config).head_of(config)
    budgets = {f"{side}x{side}": side**2 for side in POINT_SIDES}
    return _steps_and_points(config, first_mask(head), budgets)


def first_mask(head: Mapping) -> int:
    """Tell after how many steps PointRend's masks are first predicted in full, for each box.

    Args:
        head: config of a PointRend mask head, with `subdivision`.
    """
    points, factor = (
        head["coarse_head"].get(name, default_of("mmdet.PointRendCoarseMaskHead", name))
        for name in ("roi_feat_size", "downsample_factor")
    )
    side = points // factor
    return Subdivision(**head["subdivision"]).full_steps((side, side))


def _steps_and_points(config: Config, first: int, budgets: dict[str, float]) -> Sweep:
    task = swept_task(config)
    key, subdivision = f"{task.head}.subdivision", task.head_of(config).subdivision
    steps = subdivision.steps
    variants: dict[str, dict] = {
        f"steps-{number}": {f"{key}.steps": number} for number in range(first, steps)
    }
    variants[f"steps-{steps}"] = {}
    for name, budget in budgets.items():
        same = budget == subdivision.get("num_points")
        variants[f"steps-{steps}_points-{name}"] = {} if same else {f"{key}.num_points": budget}
    return Sweep(
        "Output resolution and points per subdivision step",
        "Table 3",
        (Training(AS_CONFIGURED, variants),),
    )


def point_head(config: Config, _: Path) -> Sweep:
    """Vary depth, width and activation of the point head, and what it reads."""
    head = SEMANTIC.head_of(config)
    # Where the config is silent, the classes' defaults; a variant equal to the config is left out.
    depth, channels, act_cfg = (
        head.point_head.get(name, default_of("PointMLP", name))
        for name in ("num_fcs", "channels", "act_cfg")
    )
    activation = (act_cfg or dict(type="none"))["type"]
    at_fine = head.get("coarse_at_fine", default_of("PointRendHead", "coarse_at_fine"))
    key = f"{SEMANTIC.head}.point_head"
    changes = {f"depth-{number}": {f"{key}.num_fcs": number} for number in DEPTHS}
    changes |= {f"width-{number}": {f"{key}.channels": number} for number in CHANNELS}
    changes |= {name.lower(): {f"{key}.act_cfg": dict(type=name)} for name in ("ReLU", "ELU")}
    changes |= {
        "coarse-at-fine": {f"{SEMANTIC.head}.coarse_at_fine": True},
        "coarse-at-its-own-size": {f"{SEMANTIC.head}.coarse_at_fine": False},
    }
    same = {
        f"depth-{depth}",
        f"width-{channels}",
        activation.lower(),
        "coarse-at-fine" if at_fine else "coarse-at-its-own-size",
    }
    name = f"as-configured_depth-{depth}_width-{channels}_{activation.lower()}"
    trainings = [Training(AS_CONFIGURED, {name: {}})]
    trainings += [
        Training(f"point-head_{name}", {name: {}}, options)
        for name, options in changes.items()
        if name not in same
    ]
    return Sweep(
        "Depth, width, activation and coarse input of the point head",
        "sec. 4.2, and notes from practice",
        tuple(trainings),
    )


def uncertainty(config: Config, _: Path) -> Sweep:
    """Vary the margin that chooses points, in training and in the test."""
    key = f"{SEMANTIC.head}.uncertainty"
    own = SEMANTIC.head_of(config).get("uncertainty", default_of("PointRendHead", "uncertainty"))
    trainings = []
    for train in MARGINS:
        name, options = f"uncertainty_{train}", {key: train}
        if train == own:
            name, options = AS_CONFIGURED, {}
        variants = {
            f"train-{train}_test-{test}": {} if test == train else {key: test} for test in MARGINS
        }
        trainings.append(Training(name, variants, options))
    return Sweep(
        "Uncertainty: margin of the probabilities or of the logits", "sec. 5", tuple(trainings)
    )
