"""The mask branch of a config, and others to compare it with."""

import copy

import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from torch import nn

from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.core import Subdivision, TrainingPoints
from mmseg_pointrend.engine.type_names import type_name

#: RoI heads that can be compared: one stage.
OURS = "PointRendStandardRoIHead"
#: Names of the branches without PointRend, and the side of their masks.
CONVOLUTIONS = {"4xconv 28x28": 28, "4xconv 224x224": 224}


def build_branches(config: Config, versus: str | None, checkpoint: str | None) -> dict:
    """Build RoI heads, of which the mask branch is measured.

    Args:
        config: of a detector with a `PointRendStandardRoIHead`.
        versus: "upstream" for mmdet's PointRend with the same weights, "coarse" for mask heads of
            four convolutions, or None.
        checkpoint: weights; random ones without.

    Returns:
        modules by name, "ours" first, in evaluation mode.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: for another RoI head, or a setting that mmdet's PointRend does not have.
    """
    roi_head = config.model.get("roi_head")
    kind = "missing" if roi_head is None else type_name(roi_head)
    if kind != OURS:
        raise ValueError(f"the mask branch of {OURS} is measured, this config's roi_head is {kind}")
    ours = _build(roi_head, config)
    if checkpoint is None:
        _randomize(ours)
    else:
        ours.load_state_dict(load_model(config, checkpoint, "cpu").roi_head.state_dict())
    branches = {"ours": ours}
    if versus == "upstream":
        theirs = _build(upstream_branch(roi_head, config), config)
        theirs.train_cfg, theirs.test_cfg = _upstream_settings(roi_head, theirs, config)
        theirs.load_state_dict(_upstream_names(ours.state_dict()))
        branches["upstream"] = theirs
    elif versus == "coarse":
        for name, side in CONVOLUTIONS.items():
            branches[name] = _randomize(_build(_convolutions(roi_head, side), config))
            branches[name].train_cfg = ConfigDict(mask_size=side)
    return {name: branch.eval() for name, branch in branches.items()}


def upstream_branch(roi_head: ConfigDict, config: Config) -> dict:
    """Write our RoI head's config as mmdet writes its PointRend.

    Raises:
        ValueError: for a setting that it does not have.
    """
    head = roi_head.mask_head
    point, coarse = dict(head.point_head), dict(head.coarse_head)
    for name, part, known in (
        ("mask_head.point_head", point, {"in_channels", "channels", "num_fcs", "type"}),
        ("mask_head.coarse_head", coarse, {"in_channels", "conv_out_channels", "fc_out_channels"}),
        (
            "mask_head",
            head,
            {"type", "point_head", "coarse_head", "training_points", "subdivision"},
        ),
    ):
        more = sorted(set(part) - known)
        if more:
            raise ValueError(f"mmdet's PointRend has no {name}.{more[0]}: leave versus out")
    classes = dict(num_classes=roi_head.bbox_head.num_classes)
    loss = dict(type="CrossEntropyLoss", use_mask=True, loss_weight=1.0)
    # Not ConfigDict.update, which merges what is in dicts.
    return roi_head.to_dict() | dict(
        type="PointRendRoIHead",
        mask_roi_extractor=dict(
            type="GenericRoIExtractor",
            aggregation="concat",
            roi_layer=dict(type="SimpleRoIAlign", output_size=14),
            out_channels=coarse["in_channels"],
            featmap_strides=list(roi_head.bbox_roi_extractor.featmap_strides[:1]),
        ),
        mask_head=dict(type="CoarseMaskHead", num_fcs=2, loss_mask=loss, **coarse, **classes),
        point_head=dict(
            type="MaskPointHead",
            in_channels=point["in_channels"],
            fc_channels=point.get("channels", 256),
            num_fcs=point.get("num_fcs", 3),
            **classes,
        ),
    )


def _upstream_settings(
    roi_head: ConfigDict, theirs: nn.Module, config: Config
) -> tuple[ConfigDict, ConfigDict]:
    """Write our settings as mmdet's train_cfg and test_cfg."""
    head = roi_head.mask_head
    points = TrainingPoints(**(dict(num_points=196) | (head.get("training_points") or {})))
    subdivision = Subdivision(**(dict(steps=5, num_points=784) | (head.get("subdivision") or {})))
    if points.bias is None or not isinstance(subdivision.num_points, int):
        raise ValueError("mmdet's PointRend needs random points and N as a number")
    return (
        ConfigDict(
            mask_size=theirs.mask_head.output_size[0],
            num_points=points.num_points,
            **points.bias._asdict(),
        ),
        ConfigDict(
            config.model.test_cfg.rcnn,
            subdivision_steps=subdivision.steps,
            subdivision_num_points=subdivision.num_points,
            scale_factor=subdivision.scale_factor,
        ),
    )


def _upstream_names(state: dict) -> dict:
    found = {}
    for name, values in state.items():
        name = name.replace("mask_head.coarse_head.", "mask_head.")
        if name.startswith("mask_head.point_head."):
            name = name.removeprefix("mask_head.").replace("fc_seg", "fc_logits")
        found[name] = values
    return found


def _convolutions(roi_head: ConfigDict, side: int) -> dict:
    """Write the config of the paper's 4x conv head, with masks of a side."""
    channels = roi_head.mask_head.coarse_head.in_channels
    return roi_head.to_dict() | dict(
        type="StandardRoIHead",
        mask_roi_extractor=dict(
            type="SingleRoIExtractor",
            roi_layer=dict(type="RoIAlign", output_size=side // 2, sampling_ratio=0),
            out_channels=channels,
            featmap_strides=list(roi_head.bbox_roi_extractor.featmap_strides),
        ),
        mask_head=dict(
            type="FCNMaskHead",
            num_convs=4,
            in_channels=channels,
            conv_out_channels=channels,
            num_classes=roi_head.bbox_head.num_classes,
            loss_mask=dict(type="CrossEntropyLoss", use_mask=True, loss_weight=1.0),
        ),
    )


def _build(roi_head: dict, config: Config) -> nn.Module:
    settings = dict(train_cfg=None, test_cfg=config.model.test_cfg.rcnn)
    return MODELS.build(ConfigDict(copy.deepcopy(roi_head), **settings))


def _randomize(module: nn.Module) -> nn.Module:
    """Draw weights of which every layer gives values of the size of its inputs."""
    generator = torch.Generator().manual_seed(0)
    for weights in module.parameters():
        fan_in = weights[0].numel() if weights.dim() > 1 else 4
        weights.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
    return module
