"""Mean IoU within narrow bands around the boundaries of the truth (paper, App. C and Table 8)."""

from collections.abc import Sequence

from mmseg.registry import METRICS

from mmseg_pointrend.evaluation.measure_metric import MeasureMetric
from mmseg_pointrend.evaluation.measures import IoUMeasures


@METRICS.register_module()
class TrimapIoUMetric(MeasureMetric):
    """Mean IoU of the pixels within given distances of a boundary, over the whole data set.

    A whole-image IoU hardly notices a boundary; in a band of 2 pixels every missed pixel counts.

    Args:
        widths: band widths in pixels, on each side of a boundary; the paper's are 8 and 20.
        ignore_index: label of void pixels: not counted, and not a neighbour that makes a boundary.
        collect_device: where distributed ranks exchange their counts.
        prefix: put before the names of the results; `trimap` by default.

    Results:
        `mIoU_<w>px` for each width, in percent, over the classes that occur in the band; NaN
        if there are no boundaries. Nothing if no image has labels.

    Raises:
        TypeError: for widths that are not a list or tuple.
        ValueError: for a width that is not an integer >= 1, or no width.
    """

    default_prefix = "trimap"

    def __init__(
        self,
        widths: Sequence[int] = (2, 4, 8),
        ignore_index: int = 255,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        measures = IoUMeasures(widths=widths, ignore_index=ignore_index)
        super().__init__(measures, collect_device, prefix)
