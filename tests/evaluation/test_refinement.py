"""Coarse beside refined: the numbers of each alone, the difference, and the table."""

import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from mmseg_pointrend.evaluation import RefinementMetric
from tests.evaluation.scenes import CLASSES, iou_slowly, sample, samples

FIELDS = {"coarse": "coarse_sem_seg", "refined": "pred_sem_seg"}


def evaluate(items: list[dict], classes: tuple[str, ...] = CLASSES, **arguments: object) -> dict:
    metric = METRICS.build(dict(type="RefinementMetric", **arguments))
    metric.dataset_meta = dict(classes=classes)
    metric.process({}, items)
    return metric.evaluate(size=len(items))


def test_both_predictions_are_measured_as_by_sets_of_pixels() -> None:
    items = samples(3)
    got = evaluate(items, widths=(2, 5), distances=(2,))
    assert len(got) == 3 * 4
    for kind, field in FIELDS.items():
        for name, *measure in (
            ("mIoU", "whole"), ("trimap/mIoU_2px", "trimap", 2), ("trimap/mIoU_5px", "trimap", 5),
            ("boundary/mIoU_2px", "boundary", 2),
        ):  # fmt: skip
            values = iou_slowly(items, field, *measure)
            mean = sum(values) / len(values)
            assert got[f"{kind}/{name}"] == pytest.approx(mean, abs=0.006)
            gain = got[f"refined/{name}"] - got[f"coarse/{name}"]
            assert got[f"gain/{name}"] == pytest.approx(gain, abs=1e-6) and gain > 1


def test_miou_is_that_of_mmsegmentations_metric() -> None:
    items = samples(4)
    got = evaluate(items)
    for kind, field in FIELDS.items():
        theirs = IoUMetric()
        theirs.dataset_meta = dict(classes=CLASSES)
        theirs.process({}, [dict(item, pred_sem_seg=item[field]) for item in items])
        assert got[f"{kind}/mIoU"] == pytest.approx(theirs.evaluate(len(items))["mIoU"], abs=1e-4)


def test_another_void_label() -> None:
    """A class that is ignored, as IoUMetric(ignore_index=0) ignores it."""
    items = samples(2)
    for item in items:
        for labels in item.values():
            labels["data"][labels["data"] == 255] = 0
    theirs = IoUMetric(ignore_index=0)
    theirs.dataset_meta = dict(classes=CLASSES)
    theirs.process({}, items)
    got = evaluate(items, ignore_index=0)
    assert got["refined/mIoU"] == pytest.approx(theirs.evaluate(2)["mIoU"], abs=1e-4)


def test_the_table_by_hand() -> None:
    truth = torch.tensor([[[0, 0, 1, 1, 255]]])
    coarse = torch.tensor([[[0, 1, 1, 1, 1]]])
    logger = MMLogger.get_current_instance()
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger.addHandler(handler)
    try:
        items = [sample(truth, truth % 255, coarse)]
        got = evaluate(items, ("sky", "tree", "never"), widths=(1,), distances=(1,))
    finally:
        logger.removeHandler(handler)
    (table,) = (text for text in records if "gain" in text)
    assert table.startswith("coarse and refined prediction:\n+--")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert [row for row in rows if row] == [
        ["IoU (%)", "coarse", "refined", "gain"],
        ["mIoU", "58.33", "100.00", "+41.67"],
        ["trimap/mIoU_1px", "25.00", "100.00", "+75.00"],
        ["boundary/mIoU_1px", "58.33", "100.00", "+41.67"],
        ["", "", "", ""],
        ["sky", "50.00", "100.00", "+50.00"],
        ["tree", "66.67", "100.00", "+33.33"],
        ["never", "-", "-", "-"],
    ]
    assert got["gain/mIoU"] == 41.67 and got["coarse/trimap/mIoU_1px"] == 25


def test_a_sample_without_a_coarse_prediction_names_the_setting() -> None:
    (item,) = samples(1)
    item.pop("coarse_sem_seg")
    with pytest.raises(ValueError, match="set model.predict_coarse=True"):
        evaluate([item])


def test_no_warning_about_a_missing_prefix() -> None:
    assert RefinementMetric().prefix == ""
    assert RefinementMetric(prefix="val").prefix == "val"
