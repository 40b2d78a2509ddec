"""A grid of labels that knows the logits of some of its pixels, and can work out the others.

Part of rendering labels, see `core.label_rendering`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_pointrend.core.label_rendering.frame import Frame
from mmseg_pointrend.core.pieces import piece_size
from mmseg_pointrend.core.uncertainty import two_largest


@dataclass(frozen=True)
class LabelGrid:
    """One grid of a rendering: labels of all its pixels, and logits of those that asked for them.

    Attributes:
        frame: its size, and what its flat indices mean.
        labels: (N, H', W'), framed, the smallest integer type that holds K classes.
        bounds: (N, H, W), no frame: lower bounds of the gaps between the two largest logits.
        known: (M, K), logits of some pixels.
        number: (N H' W') int32, which of `known` are a pixel's, or -1; None if the i-th are pixel
            i's, so that all are known.
        before: the grid that this one was interpolated from; None for the coarse one.
    """

    frame: Frame
    labels: Tensor
    bounds: Tensor
    known: Tensor
    number: Tensor | None = None
    before: "LabelGrid | None" = None

    @classmethod
    def dense(cls, logits: Tensor) -> "LabelGrid":
        """Make a grid from the logits of all its pixels, (N, K, H, W)."""
        num_regions, num_classes, height, width = logits.shape
        known = logits.permute(0, 2, 3, 1).reshape(-1, num_classes).contiguous()
        known = known.to(torch.promote_types(known.dtype, torch.float32))
        largest, second, label = two_largest(known)
        shape = (num_regions, height, width)
        return cls(
            Frame((height, width)),
            labels=label.to(label_dtype(num_classes)).view(shape),
            bounds=(largest - second).view(shape),
            known=known,
        )

    @property
    def inner_labels(self) -> Tensor:
        """(N, H, W): the labels without the frame, a view."""
        return self.frame.inner(self.labels)

    @property
    def num_classes(self) -> int:
        """K."""
        return self.known.shape[1]

    def find_logits(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Find the logits of pixels, and work out those that are not known.

        Args:
            pixels: flat indices, any shape.

        Returns:
            (M', K) logits, the known ones and those that were worked out; and for each pixel which
            of them are its own, the shape of `pixels`.
        """
        if self.number is None or self.before is None:
            return self.known, pixels
        number = self.number.take(pixels).long()
        missing = (number.view(-1) < 0).nonzero().squeeze(1)
        if not len(missing):
            return self.known, number
        unknown = pixels.reshape(-1).index_select(0, missing)
        if unknown.device.type == "cpu":
            unknown, order = unknown.unique(return_inverse=True)
        else:
            # That many of them are the same is not worth waiting to hear which.
            order = torch.arange(len(unknown), device=unknown.device)
        number.view(-1).index_copy_(0, missing, order + len(self.known))
        return torch.cat([self.known, interpolate(self.before, self.frame, unknown)]), number

    def dense_logits(self) -> Tensor:
        """Compute the logits of all pixels: (N, K, H, W)."""
        pixels = self.frame.all_pixels(len(self.labels), self.labels.device)
        logits, number = self.find_logits(pixels)
        rows = logits.index_select(0, number.flatten())
        return rows.view(*pixels.shape, self.num_classes).permute(0, 3, 1, 2)


def interpolate(before: LabelGrid, frame: Frame, pixels: Tensor) -> Tensor:
    """Compute the logits of single pixels of a finer grid from the corners of their cells.

    Args:
        before: the grid that the finer one is interpolated from.
        frame: of the finer grid.
        pixels: (M,), flat indices of the finer grid.

    Returns:
        (M, K).
    """
    corners, down, right = frame.corners_and_shares(before.frame, pixels, before.known.dtype)
    logits, number = before.find_logits(corners)
    rows = logits.new_empty(len(pixels), before.num_classes)
    chunk = max(1, piece_size(logits.device) // (8 * before.num_classes))
    for first in range(0, len(pixels), chunk):
        part = slice(first, first + chunk)
        top_left, top_right, left, right_ = (
            logits.index_select(0, corner) for corner in number[:, part]
        )
        share = right[part, None]
        upper, lower = top_left.lerp(top_right, share), left.lerp(right_, share)
        torch.lerp(upper, lower, down[part, None], out=rows[part])
    return rows


#: Some of the regions, in an order: a slice costs nothing, (R,) indices a copy.
Chosen = slice | Tensor


def of_regions(regions: Chosen, values: Tensor) -> Tensor:
    """Take some of the regions of (N, ...) values."""
    return values[regions] if isinstance(regions, slice) else values.index_select(0, regions)


def label_dtype(num_classes: int) -> torch.dtype:
    """Choose the smallest integer type that holds K labels and a mark beside them."""
    if num_classes < 255:
        return torch.uint8
    return torch.int16 if num_classes < 2**15 - 1 else torch.int32
