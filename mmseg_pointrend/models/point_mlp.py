"""The point head: a small MLP that predicts one point from the features at that point."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class PointMLP(BaseModule):
    """Multi-layer perceptron shared by all points (paper, sec. 3.2, "Point head").

    The parameters are those of convolutions of kernel 1 over the points, with the names and shapes
    of mmsegmentation's `PointHead`, so its checkpoints fit. They are applied as matrices to rows of
    points, which is the same and faster.

    Args:
        in_channels: channels of the fine-grained feature map, or of each of several.
        out_channels: K, logits per point and channels of the coarse prediction.
        in_index: which feature map (of the neck, or of the backbone where there is no neck) is the
            fine-grained one, or which several; as many as `in_channels`.
        channels: width of the hidden layers, >= 1.
        num_fcs: number of hidden layers; 0 makes the head a single linear layer.
        coarse_pred_each_layer: feed the coarse prediction to every layer, not to the first alone.
        dropout_ratio: dropout before the last layer, in [0, 1).
        norm_cfg: normalisation after each hidden layer, as mmcv builds it (e.g. `BN1d`).
        act_cfg: activation after each hidden layer, as mmcv builds it (e.g. `ELU`); None for none.
        init_cfg: initialisation; the last layer is drawn from N(0, 0.01^2), as in mmsegmentation.

    Raises:
        ValueError: for a number out of range.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        out_channels: int,
        in_index: int | Sequence[int] = 0,
        channels: int = 256,
        num_fcs: int = 3,
        coarse_pred_each_layer: bool = True,
        dropout_ratio: float = 0.0,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = dict(type="ReLU"),  # noqa: B006
        init_cfg: dict | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = dict(type="Normal", std=0.01, override=dict(name="fc_seg"))
        super().__init__(init_cfg)
        self.in_channels = [in_channels] if isinstance(in_channels, int) else list(in_channels)
        self.in_index = [in_index] if isinstance(in_index, int) else list(in_index)
        if channels < 1:
            raise ValueError(f"point_head.channels must be >= 1, got {channels}")
        if num_fcs < 0:
            raise ValueError(f"point_head.num_fcs must be >= 0, got {num_fcs}")
        if not 0 <= dropout_ratio < 1:
            raise ValueError(f"point_head.dropout_ratio must lie in [0, 1), got {dropout_ratio}")
        self.coarse_pred_each_layer = coarse_pred_each_layer
        width = sum(self.in_channels) + out_channels
        self.fcs = nn.ModuleList()
        for _ in range(num_fcs):
            self.fcs.append(
                ConvModule(
                    width,
                    channels,
                    kernel_size=1,
                    conv_cfg=dict(type="Conv1d"),
                    norm_cfg=norm_cfg,
                    act_cfg=act_cfg,
                )
            )
            width = channels + (out_channels if coarse_pred_each_layer else 0)
        self.dropout = nn.Dropout(dropout_ratio)
        self.fc_seg = nn.Conv1d(width, out_channels, kernel_size=1)

    def forward(self, fine: Tensor, coarse: Tensor, classes: Tensor | None = None) -> Tensor:
        """Predict points.

        Args:
            fine: (N, C, P), the fine-grained features at the points.
            coarse: (N, K, P), the coarse logits at the points.
            classes: (N,), int64: the one class of each image or region whose logits are wanted.

        Returns:
            (N, K, P), logits; (N, 1, P) for single classes.
        """
        shape = (fine.shape[0], fine.shape[2])
        # Points are read in float32 even for a model in half precision.
        dtype = self.fc_seg.weight.dtype
        x, coarse = (values.transpose(1, 2).flatten(0, 1).to(dtype) for values in (fine, coarse))
        layers: Any = self.fcs
        for number, fc in enumerate(layers):
            fed = coarse if number == 0 or self.coarse_pred_each_layer else None
            x = _affine(fc.conv, x, fed)
            if fc.with_norm:
                x = fc.norm(x.unflatten(0, shape).transpose(1, 2))
                x = x.transpose(1, 2).flatten(0, 1)
            if fc.with_activation:
                x = fc.activate(x)
        fed = coarse if not layers or self.coarse_pred_each_layer else None
        x, fed = self.dropout(x), None if fed is None else self.dropout(fed)
        if classes is None:
            return _affine(self.fc_seg, x, fed).unflatten(0, shape).transpose(1, 2)
        x, fed = x.unflatten(0, shape), None if fed is None else fed.unflatten(0, shape)
        return _affine_of_classes(self.fc_seg, x, fed, classes).transpose(1, 2)


def _affine(layer: nn.Conv1d, x: Tensor, coarse: Tensor | None) -> Tensor:
    """Apply a layer to the rows of `x` and `coarse` side by side, best without putting them so."""
    weight = layer.weight.squeeze(2)
    x, coarse = _joined_in_training(x, coarse)
    if coarse is None:
        return F.linear(x, weight, layer.bias)
    # Split, not sliced: the gradients of slices would be laid out and added up one by one.
    of_x, of_coarse = weight.split([x.shape[1], coarse.shape[1]], dim=1)
    y = F.linear(coarse, of_coarse, layer.bias)
    # In place, and therefore not cast by autocast.
    return y.addmm_(x.to(y.dtype), of_x.t().to(y.dtype))


def _joined_in_training(x: Tensor, coarse: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Put the two side by side where that is faster: in training on an accelerator.

    It waits for every launch, and the backward pass has half as many products then.
    """
    if coarse is None or x.device.type == "cpu" or not torch.is_grad_enabled():
        return x, coarse
    return torch.cat([x, coarse], dim=-1), None


def _affine_of_classes(
    layer: nn.Conv1d, x: Tensor, coarse: Tensor | None, classes: Tensor
) -> Tensor:
    """Apply, in each of N regions, one row of a layer, that of its class: (N, P, 1).

    Args:
        layer: see `_affine`.
        x: (N, P, C).
        coarse: (N, P, K).
        classes: (N,).
    """
    assert layer.bias is not None  # as it is built
    weight, y = layer.weight.index_select(0, classes), layer.bias.index_select(0, classes)
    y = y[:, None, None]
    x, coarse = _joined_in_training(x, coarse)
    if coarse is None:
        return torch.baddbmm(y, x, weight)
    of_x, of_coarse = weight.split([x.shape[2], coarse.shape[2]], dim=1)
    return torch.baddbmm(torch.baddbmm(y, coarse, of_coarse), x, of_x)
