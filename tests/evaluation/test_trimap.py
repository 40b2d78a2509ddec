"""Trimap mIoU over several images against sets of pixels."""

import pytest

from mmseg_pointrend.evaluation import TrimapIoUMetric
from tests.evaluation.scenes import CLASSES, blobs, iou_slowly, sample, samples


def test_counts_of_all_images_are_added_before_the_iou() -> None:
    items = samples(3)
    metric = TrimapIoUMetric(widths=(1, 3, 8))
    metric.dataset_meta = dict(classes=CLASSES)
    for item in items:
        metric.process({}, [item])
    got = metric.evaluate(size=3)
    assert list(got) == ["trimap/mIoU_1px", "trimap/mIoU_3px", "trimap/mIoU_8px"]
    for width in (1, 3, 8):
        values = iou_slowly(items, "pred_sem_seg", "trimap", width)
        assert len(values) == 4
        mean = sum(values) / len(values)
        assert got[f"trimap/mIoU_{width}px"] == pytest.approx(mean, abs=0.006)
        assert 0 < mean < 95


def test_a_perfect_prediction_scores_100() -> None:
    metric = TrimapIoUMetric(widths=(2,))
    metric.dataset_meta = dict(classes=CLASSES)
    truth = blobs(0)
    metric.process({}, [sample(truth, truth % 255)])
    assert metric.evaluate(size=1) == {"trimap/mIoU_2px": 100.0}


def test_wrong_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="width must be an integer >= 1 .*, got 0"):
        TrimapIoUMetric(widths=(2, 0))
