"""The measures that the metrics count and report: IoU of whole pictures, bands and boundaries."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg_pointrend.evaluation.functional import (
    check_distance,
    check_width,
    inner_boundary,
    intersections_and_unions,
    trimaps,
)


class IoUMeasures:
    """Several kinds of IoU, counted in one pass over a label map and its predictions.

    Void pixels count in none of them, whatever is predicted there.

    Args:
        whole: whether to measure whole pictures.
        widths: of trimaps, pixels, see `functional.trimap`.
        distances: of Boundary IoU, pixels (int) or fractions of the diagonal (float), see
            `functional.inner_boundary`.
        ignore_index: label of void pixels.

    Attributes:
        names: of the M measures: `mIoU`, `trimap/mIoU_<w>px`, `boundary/mIoU_<d>px` or, for a
            fraction, `boundary/mIoU_<d>`.

    Raises:
        TypeError: for widths or distances that are not a list or tuple.
        ValueError: for a width or distance out of range, or nothing to measure.
    """

    def __init__(
        self,
        whole: bool = False,
        widths: Sequence[int] = (),
        distances: Sequence[int | float] = (),
        ignore_index: int = 255,
    ) -> None:
        for name, values, check in (
            ("widths", widths, check_width),
            ("distances", distances, check_distance),
        ):
            if not isinstance(values, list | tuple):
                raise TypeError(f"{name} must be a list or tuple, got {values!r}")
            for value in values:
                check(value)
        if not (whole or widths or distances):
            raise ValueError("nothing to measure: give at least one width or distance")
        self.whole, self.ignore_index = whole, ignore_index
        self.widths, self.distances = tuple(widths), tuple(distances)
        self.names = (
            *(["mIoU"] if whole else []),
            *(f"trimap/mIoU_{width}px" for width in self.widths),
            *(f"boundary/mIoU_{d}px" if isinstance(d, int) else f"boundary/mIoU_{d}"
              for d in self.distances),
        )  # fmt: skip

    def count(self, predictions: Sequence[Tensor], target: Tensor, num_classes: int) -> Tensor:
        """Count intersections and unions of one image.

        Args:
            predictions: P label maps (1, H, W), integers. Labels outside of [0, K) are never right.
            target: (1, H, W), integers.
            num_classes: K.

        Returns:
            (P, M, 2, K), int64, on the CPU: P maps, M measures, intersections and unions.

        Raises:
            ValueError: for maps of different shapes.
        """
        for predicted in predictions:
            if predicted.shape != target.shape or target.ndim != 3:
                raise ValueError(
                    "prediction and truth must both be (1, H, W), the original picture's size, got "
                    f"{tuple(predicted.shape)} and {tuple(target.shape)}; in a test pipeline "
                    "LoadAnnotations comes after Resize, and model.output_scale is 1"
                )
        target = target.long()
        valid = target != self.ignore_index
        same = [valid] if self.whole else []
        same += trimaps(target, self.widths, self.ignore_index)
        true = same + self._boundaries(target, self.ignore_index)
        counts = []
        for predicted in predictions:
            # Where the truth is void, a prediction has neither pixels nor contours. -1, because the
            # void label may be a class (0, say), which elsewhere is predicted like any other.
            found = same + self._boundaries(predicted.long().masked_fill(~valid, -1), -1)
            counts += [
                intersections_and_unions(predicted, target, num_classes, *regions)
                for regions in zip(found, true, strict=True)
            ]
        return torch.stack(counts).unflatten(0, (len(predictions), -1)).cpu()

    def _boundaries(self, labels: Tensor, void: int) -> list[Tensor]:
        return [inner_boundary(labels, distance, void) for distance in self.distances]


def percent(share: Tensor) -> float:
    """Mean of (K,) shares that are not NaN, in percent, to two decimals."""
    return round(100 * share.nanmean().item(), 2)
