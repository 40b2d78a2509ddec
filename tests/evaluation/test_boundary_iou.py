"""Boundary IoU over several images against sets of pixels."""

import pytest
import torch
from mmseg.registry import METRICS

from mmseg_pointrend.evaluation import BoundaryIoUMetric
from tests.evaluation.scenes import CLASSES, blobs, iou_slowly, sample, samples


def evaluate(items: list[dict], **arguments: object) -> dict:
    metric = METRICS.build(dict(type="BoundaryIoUMetric", **arguments))
    metric.dataset_meta = dict(classes=CLASSES)
    for item in items:
        metric.process({}, [item])
    return metric.evaluate(size=len(items))


def test_counts_of_all_images_are_added_before_the_iou() -> None:
    items = samples(3)
    got = evaluate(items, distances=(1, 3))
    assert got.keys() == {"boundary/mIoU_1px", "boundary/mIoU_3px"}
    for distance in (1, 3):
        values = iou_slowly(items, "pred_sem_seg", "boundary", distance)
        assert len(values) == 4
        mean = sum(values) / len(values)
        assert got[f"boundary/mIoU_{distance}px"] == pytest.approx(mean, abs=0.006)
        assert 0 < mean < 90


def test_a_fraction_is_of_each_pictures_own_diagonal() -> None:
    items = [
        sample(blobs(1, size=size), blobs(2, void=False, size=size))
        for size in ((30, 40), (60, 80))
    ]
    for item, pixels in zip(items, (3, 6), strict=True):
        fraction = evaluate([item], distances=(0.06,))["boundary/mIoU_0.06"]
        assert fraction == evaluate([item], distances=(pixels,))[f"boundary/mIoU_{pixels}px"]


def test_right_where_the_truth_is_known_scores_100() -> None:
    """Whatever is predicted in the void, and wherever contours run through it."""
    truth = blobs(0)
    for wild in (truth % 255, torch.where(truth == 255, blobs(5, void=False), truth)):
        assert evaluate([sample(truth, wild)]) == {"boundary/mIoU_0.02": 100.0}


def test_by_hand() -> None:
    """A square of 6 x 6 pixels predicted one column too far to the right, contours 1 pixel deep."""
    truth, predicted = torch.zeros(2, 1, 12, 12, dtype=torch.int64)
    truth[0, 3:9, 3:9] = 1
    predicted[0, 3:9, 4:10] = 1
    # The square's rings have 20 pixels each and share the upper and lower row, 5 pixels each; the
    # columns beside each other share none.
    ring = 10 / (20 + 20 - 10)
    metric = BoundaryIoUMetric(distances=(1,))
    metric.dataset_meta = dict(classes=("ground", "square"))
    metric.process({}, [sample(truth, predicted)])
    # The ground's contour: the picture's edge, 44 pixels, and what surrounds the square by 1 pixel,
    # 28 pixels; of these the rows above and below share 7 each (8 long, moved by 1).
    ground = (44 + 14) / (44 + 28 + 28 - 14)
    assert metric.evaluate(1)["boundary/mIoU_1px"] == round(50 * (ring + ground), 2)


@pytest.mark.parametrize("wrong", [0, 1.5])
def test_wrong_distances_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=f"distance must be .*, got {wrong}"):
        BoundaryIoUMetric(distances=(1, wrong))
