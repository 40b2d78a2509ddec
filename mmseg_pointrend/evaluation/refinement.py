"""What the rendering gains: the coarse and the refined prediction side by side."""

import math
from collections.abc import Sequence

from mmengine.logging import print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable
from torch import Tensor

from mmseg_pointrend.evaluation.measure_metric import MeasureMetric
from mmseg_pointrend.evaluation.measures import IoUMeasures, percent

#: The predictions compared -> the fields of a sample that hold them.
PREDICTIONS = {"coarse": "coarse_sem_seg", "refined": "pred_sem_seg"}


@METRICS.register_module()
class RefinementMetric(MeasureMetric):
    """IoU of the coarse and of the refined prediction, and the gain, over the whole data set.

    Both come from one forward pass: the model's config needs `predict_coarse=True`, as
    `mmseg_pointrend.apis.testing.test` sets it. A table with a row for each measure below, and one
    for each class's IoU in whole pictures, is written into the log.

    Args:
        widths: of trimaps, in pixels, see `TrimapIoUMetric`; the paper's Table 8 has 8 and 20.
        distances: of Boundary IoU, see `BoundaryIoUMetric`.
        ignore_index: label of void pixels.
        collect_device: where distributed ranks exchange their counts.
        prefix: put before the names of the results; none by default.

    Results:
        In percent, `coarse/<measure>`, `refined/<measure>` and `gain/<measure>` for the measures
        `mIoU` (as mmsegmentation's `IoUMetric` computes it), `trimap/mIoU_<w>px` and
        `boundary/mIoU_<d>` (`_<d>px` for an integer). NaN where no class occurs: without boundaries
        there are no trimaps. Nothing if no image has labels.

    Raises:
        TypeError: for widths or distances that are not a list or tuple.
        ValueError: for a width or distance out of range.
    """

    default_prefix = ""
    fields = tuple(PREDICTIONS.values())

    def __init__(
        self,
        widths: Sequence[int] = (2, 4, 8, 20),
        distances: Sequence[int | float] = (0.02,),
        ignore_index: int = 255,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        measures = IoUMeasures(True, widths, distances, ignore_index)
        super().__init__(measures, collect_device, prefix)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count one batch of predictions; of each image (2, M, 2, K) counts are kept.

        Raises:
            ValueError: for samples without a coarse prediction, or of another size than the truth.
        """
        if any(PREDICTIONS["coarse"] not in sample for sample in data_samples):
            raise ValueError(
                f"RefinementMetric needs {PREDICTIONS['coarse']} in the predictions; "
                "set model.predict_coarse=True"
            )
        super().process(data_batch, data_samples)

    def report(self, iou: Tensor) -> dict[str, float]:
        """Log the table and name its numbers: (2, M, K) IoU -> percent."""
        means = {
            name: _with_gain(*map(percent, iou[:, number]))
            for number, name in enumerate(self.measures.names)
        }
        table = refinement_table(self.dataset_meta["classes"], 100 * iou[:, 0], means)
        print_log(f"coarse and refined prediction:\n{table}", logger="current")
        return {
            f"{kind}/{name}": values[column]
            for column, kind in enumerate((*PREDICTIONS, "gain"))
            for name, values in means.items()
        }


def refinement_table(
    classes: Sequence[str], iou: Tensor, means: dict[str, tuple[float, float, float]]
) -> str:
    """Lay the results out: the means, and the classes' IoU beneath.

    Args:
        classes: K names.
        iou: (2, K), percent: coarse, refined. NaN where a class does not occur.
        means: measure -> coarse, refined, gain.
    """
    table = PrettyTable(["IoU (%)", *PREDICTIONS, "gain"])
    for name, values in means.items():
        table.add_row([name, *_cells(values)])
    table.add_row([""] * 4)
    for name, values in zip(classes, iou.t().tolist(), strict=True):
        table.add_row([name, *_cells(_with_gain(*(round(value, 2) for value in values)))])
    table.align = "r"
    table.align["IoU (%)"] = "l"
    return table.get_string()


def _with_gain(coarse: float, refined: float) -> tuple[float, float, float]:
    return coarse, refined, round(refined - coarse, 2)


def _cells(values: tuple[float, float, float]) -> list[str]:
    return [
        "-" if math.isnan(value) else f"{value:{'+' if column == 2 else ''}.2f}"
        for column, value in enumerate(values)
    ]
