"""The coarse mask head: a small grid of logits for each box (paper, sec. 4.1)."""

from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn


@MODELS.register_module()
class PointRendCoarseMaskHead(BaseModule):
    """Predict the mask of a box from a few features of one fine-grained map (paper, sec. 4.1).

    Features at a grid of points in the box go through a convolution that halves the grid, and two
    hidden layers; the last gives the logits of all classes. The parameters have the names and
    shapes of mmdet's `CoarseMaskHead`.

    Args:
        in_channels: channels of the feature map.
        out_channels: K, logits per point: the number of classes, or 1.
        in_index: which of the neck's maps is read: the one of highest resolution by default.
        roi_feat_size: points along each side of a box, whose features are read.
        downsample_factor: kernel and stride of the convolution; 1 for none.
        conv_out_channels: its output channels.
        num_fcs: number of hidden layers.
        fc_out_channels: their width.
        init_cfg: initialisation; as in detectron2 the last layer is drawn from N(0, 0.001^2).

    Raises:
        ValueError: for a number out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        in_index: int = 0,
        roi_feat_size: int = 14,
        downsample_factor: int = 2,
        conv_out_channels: int = 256,
        num_fcs: int = 2,
        fc_out_channels: int = 1024,
        init_cfg: dict | None = None,
    ) -> None:
        if init_cfg is None:
            last = dict(type="Normal", std=0.001, name="fc_logits")
            init_cfg = dict(type="Caffe2Xavier", layer="Linear", override=last)
        super().__init__(init_cfg)
        for name, number, least in (
            ("roi_feat_size", roi_feat_size, max(1, downsample_factor)),
            ("downsample_factor", downsample_factor, 1),
            ("num_fcs", num_fcs, 0),
        ):
            if number < least:
                raise ValueError(f"coarse_head.{name} must be >= {least}, got {number}")
        self.in_channels, self.out_channels, self.in_index = in_channels, out_channels, in_index
        self.roi_feat_size = (roi_feat_size, roi_feat_size)
        side = roi_feat_size // downsample_factor
        self.output_size = (side, side)
        self.downsample_conv = None
        width = in_channels
        if downsample_factor > 1:
            self.downsample_conv = ConvModule(
                in_channels, conv_out_channels, downsample_factor, stride=downsample_factor
            )
            width = conv_out_channels
        width *= side * side
        self.fcs = nn.ModuleList()
        for _ in range(num_fcs):
            self.fcs.append(nn.Linear(width, fc_out_channels))
            width = fc_out_channels
        self.fc_logits = nn.Linear(width, out_channels * side * side)

    def forward(self, features: Tensor) -> Tensor:
        """Predict.

        Args:
            features: (R, C, h, w), `roi_feat_size` points of each box.

        Returns:
            (R, K, h', w'), logits, `output_size` of them.
        """
        features = features.to(self.fc_logits.weight.dtype)
        if self.downsample_conv is not None:
            features = self.downsample_conv(features)
        rows = features.flatten(1)
        for fc in self.fcs:
            rows = fc(rows).relu_()
        return self.fc_logits(rows).view(rows.shape[0], self.out_channels, *self.output_size)
