"""The pixels around a point: a map of which each point reads a window, not one pixel."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_pointrend.core.points import point_sample
from mmseg_pointrend.core.regions import Regions
from mmseg_pointrend.core.shapes import check_shape, is_integer


@dataclass(frozen=True)
class Neighborhood:
    """A map whose k x k pixels around a point are the features of the point.

    They are what `point_sample` would read of the map's `F.unfold`, the map being surrounded by
    zeros, but no map of k^2 times the channels is made: the map itself is read at k^2 places for
    each point. A linear layer on these features is a k x k convolution of the map, padded by zeros
    and computed at the points alone. Meant for the picture, whose pixels say little one by one.

    Attributes:
        maps: (B, C, h, w), floating point.
        kernel_size: k, odd, >= 1.

    Raises:
        ValueError: for maps of another shape, or a side of a window without a centre.

    Example:
        >>> picture = torch.arange(1.0, 7.0).view(1, 1, 2, 3)
        >>> middle_of_the_upper_row = torch.tensor([[[0.5, 0.25]]])
        >>> Neighborhood(picture, kernel_size=3).point_sample(middle_of_the_upper_row).view(3, 3)
        tensor([[0., 0., 0.],
                [1., 2., 3.],
                [4., 5., 6.]])
    """

    maps: Tensor
    kernel_size: int = 3

    def __post_init__(self) -> None:
        check_shape("maps", self.maps, "(B, C, h, w)")
        check_kernel_size(self.kernel_size)

    @property
    def num_channels(self) -> int:
        """C k^2, the features of a point."""
        return self.maps.shape[1] * self.kernel_size**2

    def point_sample(self, points: Tensor, regions: Regions | None = None) -> Tensor:
        """Read the map around points.

        Args:
            points: (N, P, 2), (x, y) in [0, 1] of the image or, if there are any, of the region.
            regions: which boxes the N regions are; None for whole images, N = B.

        Returns:
            (N, C k^2, P), in the order of `F.unfold`: channel by channel, each row by row.

        Raises:
            ValueError: for shapes that do not fit each other.
        """
        check_shape("points", points, "(N, P, 2)")
        if regions is None:
            found = point_sample(self.maps, self._places(points))
        else:
            found = regions.image_sample(self.maps, self._places(regions.to_image(points)))
        # The places around a point lie side by side: (N, C, P, k^2).
        found = found.unflatten(2, (points.shape[1], self.kernel_size**2))
        return found.transpose(2, 3).flatten(1, 2)

    def _places(self, points: Tensor) -> Tensor:
        """Find the k^2 places around each of (N, P, 2) points of images: (N, P k^2, 2)."""
        height, width = self.maps.shape[2:]
        dtype = torch.promote_types(points.dtype, torch.float32)
        reach = self.kernel_size // 2
        pixels = torch.arange(-reach, reach + 1, dtype=dtype, device=points.device)
        y, x = torch.meshgrid(pixels / height, pixels / width, indexing="ij")
        return (points[:, :, None] + torch.stack([x, y], dim=2).flatten(0, 1)).flatten(1, 2)


def check_kernel_size(kernel_size: int) -> None:
    """Raise ValueError unless a window of that side has a pixel in its middle."""
    if not is_integer(kernel_size) or kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd and >= 1, got {kernel_size}")
