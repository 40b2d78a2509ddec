"""Regions of images, such as the boxes of instances, and the points in them (paper, sec. 4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_pointrend.core.points import point_sample, reads_rows, sample_rows
from mmseg_pointrend.core.ragged import find_slots
from mmseg_pointrend.core.shapes import check_same_first, check_shape


@dataclass(frozen=True)
class Regions:
    """R boxes on B images; their sides may lie between pixels, and outside of the image.

    Attributes:
        boxes: (R, 4), (left, top, right, bottom) in shares of the image's width and height: [0, 1]
            is what the feature maps cover, padding included.
        images: (R,), int64, the image of each box, in [0, B).
        counts: how many boxes each image has, if they come image by image and that is known: an
            accelerator does not have to be asked then.

    Raises:
        ValueError: for shapes other than these, or counts of other boxes.

    Example:
        >>> regions = Regions(torch.tensor([[0.5, 0.0, 1.0, 0.5]]), torch.tensor([0]))
        >>> regions.to_image(torch.tensor([[[0.5, 0.5]]]))
        tensor([[[0.7500, 0.2500]]])
    """

    boxes: Tensor
    images: Tensor
    counts: Sequence[int] | None = None

    def __post_init__(self) -> None:
        check_shape("boxes", self.boxes, "(R, 4)")
        check_shape("images", self.images, "(R,)")
        check_same_first("boxes", self.boxes, "images", self.images)
        if self.counts is not None and sum(self.counts) != len(self.boxes):
            raise ValueError(f"counts must add up to {len(self.boxes)} boxes, got {self.counts}")

    @classmethod
    def from_pixels(
        cls,
        boxes: Tensor,
        images: Tensor,
        size: tuple[int, int],
        counts: Sequence[int] | None = None,
    ) -> "Regions":
        """Make regions of boxes in pixels.

        Args:
            boxes: (R, 4), (left, top, right, bottom), pixels; pixel i covers [i, i + 1].
            images: (R,), int64, the image of each box.
            size: (H, W) of the images, pixels.
            counts: how many boxes each image has, if that is known.

        Raises:
            ValueError: for shapes other than these, or counts of other boxes.

        Example:
            >>> box = torch.tensor([[4.0, 0.0, 8.0, 2.0]])
            >>> Regions.from_pixels(box, torch.tensor([0]), size=(4, 8)).boxes
            tensor([[0.5000, 0.0000, 1.0000, 0.5000]])
        """
        check_shape("boxes", boxes, "(R, 4)")
        height, width = size
        # Not by a tensor of the sizes, which would be copied to an accelerator.
        shares = torch.stack([boxes[:, 0::2] / width, boxes[:, 1::2] / height], dim=2)
        return cls(shares.flatten(1), images, counts)

    def __len__(self) -> int:
        return len(self.boxes)

    def to_image(self, points: Tensor) -> Tensor:
        """Find where points of the regions lie in their images.

        Args:
            points: (R, P, 2), (x, y), [0, 1] being the region.

        Returns:
            (R, P, 2), (x, y), [0, 1] being the image.

        Raises:
            ValueError: for points of another shape.
        """
        corner, sides = self._corner_and_sides(points)
        return torch.addcmul(corner, points, sides)

    def from_image(self, points: Tensor) -> Tensor:
        """Find where points of the images lie in the regions; the inverse of `to_image`.

        Args:
            points: (R, P, 2), (x, y), [0, 1] being the image of each region.

        Returns:
            (R, P, 2), (x, y), [0, 1] being the region; not finite where a box has no width or
            height.

        Raises:
            ValueError: for points of another shape.
        """
        corner, sides = self._corner_and_sides(points)
        return (points - corner) / sides

    def point_sample(self, features: Tensor, points: Tensor) -> Tensor:
        """Read the images' feature maps at points of the regions; no map is copied for a region.

        Args:
            features: (B, C, h, w), floating point.
            points: (R, P, 2), (x, y), [0, 1] being the region.

        Returns:
            (R, C, P), see `core.point_sample`.

        Raises:
            ValueError: for shapes other than these, or a region of an image that is not there;
                for that an accelerator is not asked where it can do without.
        """
        return self.image_sample(features, self.to_image(points))

    def image_sample(self, features: Tensor, points: Tensor) -> Tensor:
        """Read the images' feature maps as `point_sample` does, at points given in the images.

        Args:
            features: (B, C, h, w), floating point.
            points: (R, P, 2), (x, y), [0, 1] being the image of each region.

        Returns:
            (R, C, P).

        Raises:
            ValueError: as `point_sample`.
        """
        check_shape("features", features, "(B, C, h, w)")
        check_shape("points", points, "(R, P, 2)")
        check_same_first("points", points, "boxes", self.boxes)
        dtype = torch.promote_types(
            points.dtype, torch.promote_types(features.dtype, torch.float32)
        )
        if reads_rows(features):
            self._check_images(len(features))
            return sample_rows(features, self.images, points.to(dtype))
        count = points.shape[1]
        if len(features) == 1:
            if points.device.type == "cpu":
                self._check_images(1)
            found = point_sample(features, points.reshape(1, -1, 2))
            return found.view(found.shape[1], len(self), count).transpose(0, 1)
        if self.counts is not None:
            return self._sample_by_image(features, points, self.counts)
        slots = find_slots(self.images, len(features))
        found = point_sample(features, slots.table(points, 0.0).flatten(1, 2))
        return found.unflatten(2, (slots.shape[1], count))[slots.row, :, slots.column]

    def _sample_by_image(self, features: Tensor, points: Tensor, counts: Sequence[int]) -> Tensor:
        if len(counts) != len(features):
            raise ValueError(f"features of {len(features)} images, counts of {len(counts)}")
        found = []
        for maps, own in zip(features.split(1), points.split(counts), strict=True):
            sampled = point_sample(maps, own.reshape(1, -1, 2))
            found.append(sampled.view(maps.shape[1], *own.shape[:2]).transpose(0, 1))
        return torch.cat(found)

    def _check_images(self, count: int) -> None:
        if len(self) and not 0 <= int(self.images.min()) <= int(self.images.max()) < count:
            fine = "0 for features of one image" if count == 1 else f"in [0, {count})"
            raise ValueError(f"images must be {fine}, got {self.images}")

    def _corner_and_sides(self, points: Tensor) -> tuple[Tensor, Tensor]:
        check_shape("points", points, "(R, P, 2)")
        check_same_first("points", points, "boxes", self.boxes)
        corners = self.boxes.view(-1, 2, 2).to(torch.promote_types(self.boxes.dtype, points.dtype))
        return corners[:, :1], corners[:, 1:] - corners[:, :1]
