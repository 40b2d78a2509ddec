"""What the rendering gains: the coarse and the refined prediction side by side."""

import math
from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable
from torch import Tensor

from mmseg_pointrend.core import iou_per_class
from mmseg_pointrend.evaluation.measures import IoUMeasures, percent

#: The predictions compared -> the fields of a sample that hold them.
FIELDS = {"coarse": "coarse_sem_seg", "refined": "pred_sem_seg"}


@METRICS.register_module()
class RefinementMetric(BaseMetric):
    """IoU of the coarse and of the refined prediction, and the gain, over the whole data set.

    Both come from one forward pass: the model's config needs `predict_coarse=True`, as
    `mmseg_pointrend.apis.testing.test` sets it. A table with a row for each class, and one for each
    measure below, is written into the log.

    Args:
        widths: of trimaps, in pixels, see `TrimapIoUMetric`; the paper's Table 8 has 8 and 20.
        distances: of Boundary IoU, see `BoundaryIoUMetric`.
        ignore_index: label of void pixels.
        collect_device: where distributed ranks exchange their counts.
        prefix: put before the names of the results; none by default.

    Results:
        In percent, `coarse/<measure>`, `refined/<measure>` and `gain/<measure>` for the measures
        `mIoU` (as mmsegmentation's `IoUMetric` computes it), `trimap/mIoU@<w>px` and
        `boundary/mIoU@<d>`. Nothing where images have no labels.

    Raises:
        ValueError: for a width or distance out of range.
    """

    default_prefix = ""

    def __init__(
        self,
        widths: Sequence[int] = (2, 4, 8, 20),
        distances: Sequence[int | float] = (0.02,),
        ignore_index: int = 255,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.measures = IoUMeasures(True, widths, distances, ignore_index)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count one batch of predictions; of each image (2, M, 2, K) counts are kept.

        Raises:
            ValueError: for samples without a coarse prediction.
        """
        num_classes = len(self.dataset_meta["classes"])
        for sample in data_samples:
            if FIELDS["coarse"] not in sample:
                raise ValueError(
                    f"RefinementMetric needs {FIELDS['coarse']} in the predictions; "
                    "set model.predict_coarse=True"
                )
            if "gt_sem_seg" not in sample:
                continue
            coarse, refined = (sample[field]["data"] for field in FIELDS.values())
            target = sample["gt_sem_seg"]["data"].to(refined.device)
            self.results.append(self.measures.count([coarse, refined], target, num_classes))

    def compute_metrics(self, results: list[Tensor]) -> dict[str, float]:
        """Add up the counts of all images, take the IoU, and log the table."""
        if not results:
            return {}
        iou = iou_per_class(torch.stack(results).sum(0))
        rows = {
            name: _with_gain(*(percent(iou[kind, number]) for kind in range(2)))
            for number, name in enumerate(self.measures.names)
        }
        classes = self.dataset_meta["classes"]
        print_log("\n" + refinement_table(classes, 100 * iou[:, 0], rows), logger="current")
        return {
            f"{kind}/{name}": values[column]
            for column, kind in enumerate((*FIELDS, "gain"))
            for name, values in rows.items()
        }


def refinement_table(
    classes: Sequence[str], iou: Tensor, rows: dict[str, tuple[float, float, float]]
) -> str:
    """Lay the results out: the classes' IoU, then the means.

    Args:
        classes: K names.
        iou: (2, K), percent: coarse, refined. NaN where a class does not occur.
        rows: measure -> coarse, refined, gain.
    """
    table = PrettyTable(["IoU (%)", *FIELDS, "gain"])
    for name, values in zip(classes, iou.t().tolist(), strict=True):
        table.add_row([name, *_cells(_with_gain(*(round(value, 2) for value in values)))])
    table.add_row([""] * 4)
    for name, values in rows.items():
        table.add_row([name, *_cells(values)])
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
