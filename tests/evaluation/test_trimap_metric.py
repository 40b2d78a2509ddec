"""The metric over several images against one slow count over all their pixels."""

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from mmseg_pointrend.core import boundary_pixels
from mmseg_pointrend.evaluation import TrimapIoUMetric


def blobs(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 4, 9, 13, generator=generator)
    labels = torch.nn.functional.interpolate(noise, size=(51, 77), mode="bilinear").argmax(1)
    labels[:, :4] = 255
    return labels


def test_counts_of_all_images_are_added_before_the_iou() -> None:
    truths, predictions = [blobs(seed) for seed in range(3)], [blobs(seed + 9) for seed in range(3)]
    for prediction in predictions:
        prediction.clamp_(max=3)
    metric = TrimapIoUMetric(widths=(1, 3))
    metric.dataset_meta = dict(classes=("a", "b", "c", "d", "never"))
    for truth, prediction in zip(truths, predictions, strict=True):
        metric.process({}, [dict(gt_sem_seg=dict(data=truth), pred_sem_seg=dict(data=prediction))])
    got = metric.evaluate(size=3)

    for width in (1, 3):
        hits, union = np.zeros(4), np.zeros(4)
        for truth, prediction in zip(truths, predictions, strict=True):
            distance = distance_transform_edt(~boundary_pixels(truth)[0].numpy())
            true, found = truth[0].numpy(), prediction[0].numpy()
            band = (distance <= width - 1) & (true != 255)
            for label in range(4):
                hits[label] += ((true == label) & (found == label) & band).sum()
                union[label] += (((true == label) | (found == label)) & band).sum()
        expected = 100 * (hits / union).mean()
        np.testing.assert_allclose(got[f"trimap/mIoU@{width}px"], expected, atol=0.006)
        assert 0 < expected < 100


def test_a_perfect_prediction_scores_100() -> None:
    metric = TrimapIoUMetric(widths=(2,))
    metric.dataset_meta = dict(classes=("a", "b", "c", "d"))
    truth = blobs(0)
    metric.process({}, [dict(gt_sem_seg=dict(data=truth), pred_sem_seg=dict(data=truth % 255))])
    assert metric.evaluate(size=1) == {"trimap/mIoU@2px": 100.0}
