"""What the metrics of one prediction share: counts of images are kept, and added up at the end."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmseg_pointrend.core import iou_per_class
from mmseg_pointrend.evaluation.measures import IoUMeasures, percent


class MeasureMetric(BaseMetric):
    """Base of metrics that report the class means of some measures over the whole data set.

    Args:
        measures: what to count.
        collect_device: where distributed ranks exchange their counts.
        prefix: put before the names of the results, in the place of `default_prefix`.

    Results:
        Each measure by the last part of its name, in percent.
    """

    def __init__(self, measures: IoUMeasures, collect_device: str, prefix: str | None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.measures = measures

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count one batch of predictions; of each image (M, 2, K) counts are kept."""
        num_classes = len(self.dataset_meta["classes"])
        for sample in data_samples:
            predicted = sample["pred_sem_seg"]["data"]
            target = sample["gt_sem_seg"]["data"].to(predicted.device)
            self.results.append(self.measures.count([predicted], target, num_classes)[0])

    def compute_metrics(self, results: list[Tensor]) -> dict[str, float]:
        """Add up the counts of all images, then take the IoU."""
        means = map(percent, iou_per_class(torch.stack(results).sum(0)))
        names = (name.rpartition("/")[2] for name in self.measures.names)
        return dict(zip(names, means, strict=True))
