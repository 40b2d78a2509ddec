"""Point-wise features: what the point head is told of a point (paper, sec. 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_pointrend.core.neighborhood import Neighborhood
from mmseg_pointrend.core.points import point_sample, sample_maps
from mmseg_pointrend.core.regions import Regions


@dataclass(frozen=True)
class PointFeatures:
    """The maps in which points are read, of whole images or of regions of images.

    Called with points it gives their fine-grained features and the coarse logits there.

    Attributes:
        fine_maps: fine-grained feature maps, each (B, C_i, h_i, w_i), or the neighbourhoods of one.
        coarse_map: (N, K, h, w), the coarse logits of each image, or of each region.
        regions: which boxes the N regions are, for all maps or, if the maps do not cover the same,
            for each; None for whole images, N = B.

    Raises:
        ValueError: without a fine-grained map, or for another number of regions than of maps.

    Example:
        >>> fine, coarse = torch.randn(2, 8, 64, 64), torch.randn(3, 5, 7, 7)
        >>> regions = Regions(torch.rand(3, 4), images=torch.tensor([0, 1, 1]))
        >>> features = PointFeatures([fine], coarse, regions)
        >>> [tuple(found.shape) for found in features(torch.rand(3, 20, 2))]
        [(3, 8, 20), (3, 5, 20)]
    """

    fine_maps: Sequence[Tensor | Neighborhood]
    coarse_map: Tensor
    regions: Regions | Sequence[Regions] | None = None

    def __post_init__(self) -> None:
        if not self.fine_maps:
            raise ValueError("fine_maps must hold at least one fine-grained feature map, got none")
        if isinstance(self.regions, Sequence) and len(self.regions) != len(self.fine_maps):
            raise ValueError(
                f"regions must be as many as fine_maps, {len(self.fine_maps)}, or one for all, got "
                f"{len(self.regions)}"
            )

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Read all maps at points.

        Args:
            points: (N, P, 2), (x, y) in [0, 1] of the image or the region.

        Returns:
            (N, C, P), the fine-grained features, those of several maps one after the other, and
            (N, K, P), the coarse logits.

        Raises:
            ValueError: for shapes that do not fit each other.
        """
        own = self.regions
        if own is None:
            fine, coarse = self._of_images(points)
        else:
            regions = own if isinstance(own, Sequence) else [own] * len(self.fine_maps)
            fine = [
                one.point_sample(maps, points)
                if isinstance(maps, Tensor)
                else maps.point_sample(points, one)
                for maps, one in zip(self.fine_maps, regions, strict=True)
            ]
            coarse = point_sample(self.coarse_map, points)
        return _join(fine), coarse

    def _of_images(self, points: Tensor) -> tuple[list[Tensor], Tensor]:
        """Read whole images; maps of which a point reads one place share the points."""
        single = [maps for maps in self.fine_maps if isinstance(maps, Tensor)]
        *found, coarse = sample_maps([*single, self.coarse_map], points)
        rest = iter(found)
        fine = [
            next(rest) if isinstance(maps, Tensor) else maps.point_sample(points)
            for maps in self.fine_maps
        ]
        return fine, coarse


def _join(features: Sequence[Tensor]) -> Tensor:
    """Put (N, C_i, P) features of points one after the other: (N, C, P)."""
    if len(features) == 1:
        return features[0]
    if any(values.stride(1) == 1 < values.shape[1] for values in features):
        # The channels of a point lie side by side, as a point head wants them: so they stay.
        return torch.cat([values.transpose(1, 2) for values in features], dim=2).transpose(1, 2)
    return torch.cat(list(features), dim=1)
