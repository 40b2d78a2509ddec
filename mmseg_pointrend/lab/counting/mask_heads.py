"""What mask heads cost for a box: the paper's Table 2.

The conventions are those of `operator_cost`. For a head of 4x conv the features that RoIAlign gives
are activations, too: with them the counts are the paper's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.tasks import task_of
from mmseg_pointrend.core import lasting_steps
from mmseg_pointrend.lab.counting.complexity import Stage, count_steps
from mmseg_pointrend.lab.counting.operator_cost import Cost, measure

#: The paper's Table 2: multiply-adds (billions) and activations (millions) of a box.
PAPER = {
    "4x conv, 28x28": (0.5, 0.5),
    "4x conv, 224x224": (34, 33),
    "PointRend, 224x224": (0.9, 0.7),
}
#: Channels of the feature maps, and sides of what RoIAlign gives.
_CHANNELS, _SIDES = 256, (14, 112)


@dataclass(frozen=True)
class MaskHead:
    """What a mask head costs for a box.

    Attributes:
        name: which head, and the size of its masks.
        multiply_adds: see `operator_cost`.
        activations: all that are computed.
        at_a_time: the most that are there at a time; of PointRend those of the coarse head and of
            the largest step.
        parameters: numbers in the weights.
        paper: multiply-adds (billions) and activations (millions) in the paper's Table 2.
        steps: coarse head and subdivision steps; none of other heads.
    """

    name: str
    multiply_adds: int
    activations: int
    at_a_time: int
    parameters: int
    paper: tuple[float, float] | None = None
    steps: Sequence[Stage] = ()


def count_mask_heads(config_path: str | Path, options: dict | None = None) -> list[MaskHead]:
    """Count what the paper's Table 2 counts, for the number of classes of a config.

    4x conv is counted for any config of mmdet's; PointRend, if the config has it, twice: with the
    logits of every class, as the paper counts, and of the predicted one alone, as it runs here.

    Args:
        config_path: config file of a detector with masks.
        options: dotted config keys and values that override the file.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: for a config of another task, or a detector without masks.
    """
    config = prepare_config(config_path, options=options)
    if task_of(config).scope != "mmdet":
        raise ValueError("mask heads are those of instance segmentation (default_scope='mmdet')")
    head = (config.model.get("roi_head") or {}).get("mask_head")
    if not head:
        raise ValueError("model.roi_head has no mask_head")
    found = [_count_convolutions(side, _num_classes(config)) for side in _SIDES]
    if "PointRend" in str((head[0] if isinstance(head, list) else head)["type"]):
        found += _count_pointrend(config)
    return found


def _num_classes(config: Config) -> int:
    box_head = config.model.roi_head.bbox_head
    return (box_head[0] if isinstance(box_head, list) else box_head).num_classes


def _count_convolutions(side: int, num_classes: int) -> MaskHead:
    """Count Mask R-CNN's head, applied to what RoIAlign gives of a size."""
    head = MODELS.build(dict(type="mmdet.FCNMaskHead", in_channels=_CHANNELS, num_convs=4,
                             num_classes=num_classes)).to("meta")  # fmt: skip
    features = torch.empty(1, _CHANNELS, side, side, device="meta")
    _, cost = measure(lambda: head(features))
    name = f"4x conv, {2 * side}x{2 * side}"
    activations = cost.activations + features.numel()
    return MaskHead(
        name, cost.multiply_adds, activations, activations, _parameters(head), PAPER[name]
    )


def _count_pointrend(config: Config) -> Iterator[MaskHead]:
    """Count a config's PointRend head for one box; of a cascade that of one stage."""
    roi_head = MODELS.build(
        dict(config.model.roi_head, train_cfg=None, test_cfg=config.model.test_cfg.rcnn)
    ).eval()
    head = roi_head.mask_head
    head = head[0] if isinstance(head, nn.ModuleList) else head
    # The counts do not depend on the size of maps that are read at points.
    channels = dict(zip(_listed(head.point_head.in_index), _listed(head.point_head.in_channels),
                        strict=True))  # fmt: skip
    maps = [torch.zeros(1, channels.get(i, _CHANNELS), 64 >> i, 64 >> i) for i in range(4)]
    boxes = _one_box()
    coarse, cost = measure(lambda: head.coarse_prediction(maps, boxes))
    features = head.point_features(maps, coarse, boxes)
    steps, grid = count_steps(
        lasting_steps(coarse[:, :1], partial(head.point_logits, features, boxes.labels),
                      head.subdivision)
    )  # fmt: skip
    first = Stage("coarse head", *cost, _parameters(head.coarse_head))
    name = f"PointRend, {grid[0]}x{grid[1]}"
    one_point = torch.zeros(1, 1, 2)
    _, dense = measure(lambda: head.point_head(*features(one_point)))
    every = [_times(step, dense) for step in steps]
    yield _add_up(head, name, [first, *every], PAPER.get(name))
    yield _add_up(head, f"{name}, one class", [first, *steps], None)


def _one_box() -> object:
    from mmseg_pointrend.instance.mask_head import Boxes

    rois = torch.tensor([[0.0, 8, 8, 200, 200]])
    return Boxes(rois, torch.zeros(1, dtype=torch.int64), [4, 8, 16, 32])


def _times(step: Stage, cost: Cost) -> Stage:
    """Have a step's points cost what one point costs that predicts every class."""
    return Stage(
        step.name, cost.multiply_adds * step.points, cost.activations * step.points, None,
        step.points,
    )  # fmt: skip


def _add_up(
    head: nn.Module, name: str, stages: Sequence[Stage], paper: tuple[float, float] | None
) -> MaskHead:
    coarse, *steps = stages
    return MaskHead(
        name,
        sum(stage.multiply_adds for stage in stages),
        sum(stage.activations for stage in stages),
        coarse.activations + max(step.activations for step in steps),
        _parameters(head),
        paper,
        stages,
    )


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _listed(value: object) -> list:
    return list(value) if isinstance(value, list | tuple) else [value]


def format_mask_heads(heads: Sequence[MaskHead], boxes: int = 1) -> str:
    """Lay the counts out as a table beside the paper's.

    Args:
        heads: of a box.
        boxes: how many boxes a picture has.
    """
    columns = ("multiply-adds (G)", "paper", "activations (M)", "at a time (M)", "paper",
               "parameters (M)")  # fmt: skip
    lines = ["Mask heads, one box", _line("", columns)]
    for head in heads:
        adds, activations = (f"{number:g}" for number in head.paper) if head.paper else ("", "")
        numbers = head.multiply_adds / 1e9, head.activations / 1e6, head.at_a_time / 1e6
        flops, every, most = (f"{number:.2f}" for number in numbers)
        lines.append(
            _line(
                head.name, (flops, adds, every, most, activations, f"{head.parameters / 1e6:.2f}")
            )
        )
        for step in head.steps:
            points = "" if step.points is None else f", {step.points} points"
            costs = f"{step.multiply_adds / 1e9:.2f}", "", f"{step.activations / 1e6:.2f}"
            lines.append(_line(f"  {step.name}{points}", costs))
    if boxes > 1:
        lines += ["", f"Mask heads, {boxes} boxes", _line("", ("multiply-adds (G)",))]
        lines += [_line(head.name, (f"{boxes * head.multiply_adds / 1e9:.1f}",)) for head in heads]
    return "\n".join(lines)


def _line(name: str, cells: Sequence[str]) -> str:
    return name.ljust(38) + "".join(cell.rjust(19) for cell in cells)
