"""The mask branch of a detector as a module: feature maps, boxes and classes in, masks out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mmseg_pointrend.core import point_sample
from mmseg_pointrend.export.rendering import render_any_size


class MaskGraph(nn.Module):
    """Renders the masks of boxes in one picture, by operators for any number and size.

    Where boxes come from, and how masks get into the picture, is not part of it.

    Args:
        mask_head: a `PointRendMaskHead` with its weights. Put into evaluation mode.
        strides: of the detector's feature maps.
        most_at_once: pixels that one top-k may choose, see `rendering.smallest`.

    Raises:
        ValueError: for a head of another kind.
    """

    def __init__(
        self, mask_head: nn.Module, strides: Sequence[int], most_at_once: int | None = None
    ) -> None:
        super().__init__()
        parts = ("coarse_head", "point_head", "subdivision", "class_agnostic")
        missing = [name for name in parts if not hasattr(mask_head, name)]
        if missing:
            raise ValueError(
                f"{type(mask_head).__name__} has no {missing[0]}: what is exported is PointRend's "
                "mask head"
            )
        theirs: Any = mask_head.eval()
        self.head, self.most_at_once = theirs, most_at_once
        self.strides = {index: strides[index] for index in theirs.indices}

    @property
    def inputs(self) -> dict[str, dict[str, int]]:
        """What goes in, in order, and its open axes; maps have the neck's numbers."""
        maps = {f"map{i}": {f"height{i}": 2, f"width{i}": 3} for i in self.strides}
        return maps | {"boxes": {"count": 0}, "labels": {"count": 0}}

    def forward(self, maps: Sequence[Tensor], boxes: Tensor, labels: Tensor) -> tuple[Tensor]:
        """Render.

        Args:
            maps: feature maps of the picture that are read, each (1, C, h, w).
            boxes: (R, 4), (left, top, right, bottom), pixels of the network's input; R >= 1.
            labels: (R,), int64, the class of each.

        Returns:
            (R, H, W), the probability of each pixel of the boxes.
        """
        head = self.head
        found = dict(zip(self.strides, maps, strict=True))
        channels = torch.zeros_like(labels) if head.class_agnostic else labels
        size = head.coarse_head.roi_feat_size
        places = _centers(size, boxes)
        coarse_features = self._read(found, head.coarse_head.in_index, boxes, places)
        every = head.coarse_head(coarse_features.unflatten(2, size))
        indices = head.point_head.in_index

        def predict(points: Tensor) -> Tensor:
            fine = torch.cat([self._read(found, i, boxes, points) for i in indices], dim=1)
            return head.point_head(fine, point_sample(every, points), channels)

        chosen = channels.view(-1, 1, 1, 1).expand(-1, 1, *every.shape[2:])
        own = every.gather(1, chosen)
        logits = render_any_size(own, predict, head.subdivision, self.most_at_once)
        return (logits[:, 0].sigmoid(),)

    def _read(self, maps: dict[int, Tensor], index: int, boxes: Tensor, points: Tensor) -> Tensor:
        """Read a map at (R, P, 2) points of the boxes: (R, C, P)."""
        features, stride = maps[index], self.strides[index]
        height, width = features.shape[2] * stride, features.shape[3] * stride
        corners = torch.stack([boxes[:, 0::2] / width, boxes[:, 1::2] / height], dim=2)
        placed = torch.addcmul(corners[:, :1], points, corners[:, 1:] - corners[:, :1])
        read = point_sample(features, placed.flatten(0, 1)[None])
        return read[0].unflatten(1, (boxes.shape[0], points.shape[1])).transpose(0, 1)


def trace_masks(graph: MaskGraph) -> ExportedProgram:
    """Trace a graph for any number of boxes, and maps of any size."""
    maps, boxes, labels = example_boxes(graph, (203, 274), count=3)
    sides = [{2: Dim.DYNAMIC, 3: Dim.DYNAMIC} for _ in maps]
    shapes = (sides, {0: Dim.DYNAMIC}, {0: Dim.DYNAMIC})
    with torch.no_grad():
        return torch.export.export(graph, (maps, boxes, labels), dynamic_shapes=shapes)


def example_boxes(
    graph: MaskGraph, size: tuple[int, int], count: int, seed: int = 0
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Make up what a graph takes.

    Args:
        graph: which takes it.
        size: (H, W) of the picture, pixels.
        count: number of boxes.
        seed: of the random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    head, (height, width) = graph.head, size
    channels = dict(zip(head.point_head.in_index, head.point_head.in_channels, strict=True))
    channels[head.coarse_head.in_index] = head.coarse_head.in_channels
    maps = [
        torch.randn(1, channels[i], -(-height // s), -(-width // s), generator=generator)
        for i, s in graph.strides.items()
    ]
    corners = torch.rand(count, 2, 2, generator=generator).sort(dim=1).values
    boxes = corners * torch.tensor([width, height])
    labels = torch.randint(head.num_classes, (count,), generator=generator)
    return maps, boxes.flatten(1), labels


def _centers(size: tuple[int, int], boxes: Tensor) -> Tensor:
    """The centres of a grid of each box: (R, h w, 2)."""
    height, width = size
    y = (torch.arange(height, device=boxes.device) + 0.5) / height
    x = (torch.arange(width, device=boxes.device) + 0.5) / width
    grid = torch.stack([x.expand(size), y[:, None].expand(size)], dim=2).flatten(0, 1)
    return grid.expand(boxes.shape[0], -1, -1)
