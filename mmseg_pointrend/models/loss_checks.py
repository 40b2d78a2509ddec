"""Losses that cannot work are refused when a model is built."""

import inspect

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import (
    CrossEntropyLoss,
    DiceLoss,
    FocalLoss,
    HuasdorffDisstanceLoss,
    LovaszLoss,
    TverskyLoss,
)
from torch import nn

from mmseg_pointrend.models.known_pixels import modules_of


def check_loss(name: str, loss: nn.Module, out_channels: int) -> None:
    """Refuse a loss that would fail in the first iteration, learn nothing or learn backwards.

    Args:
        name: of the setting.
        loss: what was built from it.
        out_channels: K.

    Raises:
        ValueError: with what is wrong, and what would be right.
    """
    check = _check_one_channel if out_channels == 1 else _check_several_channels
    reason = _check_kind(loss) or check(loss, out_channels)
    if reason is not None:
        raise ValueError(f"{name}={type(loss).__name__} {reason}")


def check_head_losses(name: str, head: nn.Module, out_channels: int) -> None:
    """Check a decode head's losses, see `check_loss`.

    Heads that compute their losses in a way of their own (`PIDHead`) choose the losses for it.
    """
    if getattr(type(head), "loss_by_feat", None) is not BaseDecodeHead.loss_by_feat:
        return
    for loss in modules_of(getattr(head, "loss_decode", nn.ModuleList())):
        check_loss(f"{name}.loss_decode", loss, out_channels)


def _check_kind(loss: nn.Module) -> str | None:
    if isinstance(loss, FocalLoss):
        return "needs compiled mmcv; take CrossEntropyLoss with class_weight"
    if isinstance(loss, HuasdorffDisstanceLoss):
        return "takes ignored pixels for class 0; take DiceLoss"
    if isinstance(loss, CrossEntropyLoss) and loss.use_mask:
        return "with use_mask=True knows no ignored pixels; leave use_mask out"
    parameters = inspect.signature(loss.forward).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if not takes_all and "ignore_index" not in parameters:
        return "does not take ignore_index; take CrossEntropyLoss"
    return None


def _check_one_channel(loss: nn.Module, out_channels: int) -> str | None:
    del out_channels
    if isinstance(loss, DiceLoss | TverskyLoss):
        return (
            "cannot learn from out_channels=1, which it takes for class 0; take CrossEntropyLoss "
            "with use_sigmoid=True, or leave out_channels out for two channels"
        )
    if isinstance(loss, LovaszLoss) and not _is_binary(loss):
        return 'takes several channels, but out_channels=1; set loss_type="binary"'
    if getattr(loss, "use_sigmoid", True) is False:
        return "without use_sigmoid=True learns nothing from out_channels=1; set use_sigmoid=True"
    weights = getattr(loss, "class_weight", None)
    if weights is not None and isinstance(loss, LovaszLoss):
        return 'with loss_type="binary" leaves class_weight out; remove class_weight'
    if weights is not None and isinstance(loss, CrossEntropyLoss) and len(weights) != 1:
        return (
            f"has class_weight={list(weights)}, but out_channels=1; give one number, by which "
            "class 1 counts more than class 0"
        )
    return None


def _check_several_channels(loss: nn.Module, out_channels: int) -> str | None:
    if isinstance(loss, LovaszLoss) and _is_binary(loss):
        return (
            f'with loss_type="binary" takes one channel, but out_channels={out_channels}; '
            "leave loss_type out"
        )
    weights = getattr(loss, "class_weight", None)
    if weights is None or not isinstance(loss, CrossEntropyLoss | LovaszLoss | TverskyLoss):
        return None
    if getattr(loss, "use_sigmoid", False):
        return (
            f"with use_sigmoid=True takes no class_weight for out_channels={out_channels}; "
            "leave use_sigmoid out"
        )
    if len(weights) != out_channels:
        return (
            f"has class_weight={list(weights)}, but out_channels={out_channels}; "
            "give one weight for each class"
        )
    return None


def _is_binary(loss: LovaszLoss) -> bool:
    return loss.cls_criterion.__name__ == "lovasz_hinge"
