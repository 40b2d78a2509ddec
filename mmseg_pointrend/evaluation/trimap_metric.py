"""Mean IoU within narrow bands around the boundaries of the truth (paper, App. C and Table 8)."""

import functools
from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS

from mmseg_pointrend.core import confusion_matrix, iou_per_class, trimap


@METRICS.register_module()
class TrimapIoUMetric(BaseMetric):
    """Mean IoU of the pixels within given distances of a boundary, over the whole data set.

    A whole-image IoU hardly notices a boundary; in a band of 2 pixels every missed pixel counts.

    Args:
        widths: band widths in pixels, on each side of a boundary.
        ignore_index: label of void pixels: not counted, and not a neighbour that makes a boundary.
        collect_device: where distributed ranks exchange their counts.
        prefix: put before the names of the results.

    Results:
        `mIoU@<w>px` for each width, in percent, over the classes that occur in the band.
    """

    default_prefix = "trimap"

    def __init__(
        self,
        widths: Sequence[int] = (2, 4, 8),
        ignore_index: int = 255,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.widths = tuple(widths)
        self.ignore_index = ignore_index

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count one batch of predictions; a confusion matrix for each image and width is kept."""
        num_classes = len(self.dataset_meta["classes"])
        for sample in data_samples:
            predicted = sample["pred_sem_seg"]["data"].cpu()
            target = sample["gt_sem_seg"]["data"].cpu()
            bands = [trimap(target, width, self.ignore_index) for width in self.widths]
            counts = [confusion_matrix(predicted, target, num_classes, band) for band in bands]
            # Sparse: with 150 classes a matrix is large, and an image has few of them.
            self.results.append(torch.stack(counts).to_sparse())

    def compute_metrics(self, results: list[torch.Tensor]) -> dict[str, float]:
        """Add up the counts of all images, then take the IoU."""
        totals = functools.reduce(torch.add, results).to_dense()
        return {
            f"mIoU@{width}px": round(100 * iou_per_class(total).nanmean().item(), 2)
            for width, total in zip(self.widths, totals, strict=True)
        }
