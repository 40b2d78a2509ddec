"""What the metrics share: counts of images are kept, and added up at the end."""

import logging
from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from mmseg_pointrend.evaluation.functional import iou_per_class
from mmseg_pointrend.evaluation.measures import IoUMeasures, percent


class MeasureMetric(BaseMetric):
    """Base of metrics that report the class means of some measures over the whole data set.

    Args:
        measures: what to count.
        collect_device: where distributed ranks exchange their counts.
        prefix: put before the names of the results, in the place of `default_prefix`.

    Attributes:
        fields: of a sample, that hold the P predictions to measure.

    Results:
        Each measure by the last part of its name, in percent; NaN where no class occurs. Nothing if
        no image has labels.
    """

    fields: tuple[str, ...] = ("pred_sem_seg",)

    def __init__(self, measures: IoUMeasures, collect_device: str, prefix: str | None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.measures = measures

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count one batch of predictions; of each image (P, M, 2, K) counts are kept.

        Raises:
            ValueError: for a prediction that has not the size of the truth.
        """
        num_classes = len(self.dataset_meta["classes"])
        for sample in data_samples:
            predictions = [sample[field]["data"] for field in self.fields]
            if "gt_sem_seg" not in sample:
                # It must hold its place: by it repeated images are told when ranks exchange counts.
                self.results.append(torch.empty(0))
                continue
            target = sample["gt_sem_seg"]["data"].to(predictions[0].device)
            self.results.append(self.measures.count(predictions, target, num_classes))

    def compute_metrics(self, results: list[Tensor]) -> dict[str, float]:
        """Add up the counts of all images, then take the IoU."""
        results = [counts for counts in results if len(counts)]
        if not results:
            print_log(
                f"{type(self).__name__}: no image has labels (gt_sem_seg), so nothing is measured",
                logger="current",
                level=logging.WARNING,
            )
            return {}
        return self.report(iou_per_class(torch.stack(results).sum(0)))

    def report(self, iou: Tensor) -> dict[str, float]:
        """Name the results: (P, M, K) IoU -> percent."""
        names = (name.rpartition("/")[2] for name in self.measures.names)
        return dict(zip(names, map(percent, iou[0]), strict=True))
