"""Boundary IoU (Cheng, Girshick, Dollar, Berg, Kirillov, CVPR 2021), for classes of label maps."""

from collections.abc import Sequence

from mmseg.registry import METRICS

from mmseg_pointrend.evaluation.measure_metric import MeasureMetric
from mmseg_pointrend.evaluation.measures import IoUMeasures


@METRICS.register_module()
class BoundaryIoUMetric(MeasureMetric):
    """Mean Boundary IoU of the classes, over the whole data set.

    Of each class's true mask and predicted mask only the pixels near the mask's own contour count
    (`inner_boundary`). Unlike a trimap's IoU it also charges contours predicted where there
    are none.

    The paper takes the mean over objects. Here, as for mIoU, a class's intersections and unions are
    added up over all images. Void pixels are counted nowhere and make no contour, in the truth and,
    at the same places, in the prediction: a prediction that is right where the truth is known
    scores 100.

    Args:
        distances: how far from the contour; pixels (int) or fractions of the picture's diagonal
            (float). The authors' code has 0.02.
        ignore_index: label of void pixels.
        collect_device: where distributed ranks exchange their counts.
        prefix: put before the names of the results; `boundary` by default.

    Results:
        `mIoU_<d>px`, for a fraction `mIoU_<d>`, in percent, over the classes that occur there.
        Nothing if no image has labels.

    Raises:
        TypeError: for distances that are not a list or tuple.
        ValueError: for a distance out of range, or no distance.
    """

    default_prefix = "boundary"

    def __init__(
        self,
        distances: Sequence[int | float] = (0.02,),
        ignore_index: int = 255,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        measures = IoUMeasures(distances=distances, ignore_index=ignore_index)
        super().__init__(measures, collect_device, prefix)
