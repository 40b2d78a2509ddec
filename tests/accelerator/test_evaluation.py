"""Metrics of predictions that lie on a GPU, the make-believe one; the truth comes from files."""

import pytest
import torch
from mmseg.registry import METRICS
from torch import Tensor

import mmseg_pointrend.evaluation  # noqa: F401 - registers the metrics
from mmseg_pointrend.evaluation.functional import (
    inner_boundary,
    intersections_and_unions,
    mask_boundary,
    squared_distances,
    trimaps,
)
from tests.accelerator.both_devices import assert_same

pytestmark = pytest.mark.usefixtures("gpu")

CLASSES = ("a", "b", "c")


def maps() -> tuple[Tensor, Tensor, Tensor]:
    """Truth with void pixels, a prediction and a coarse one: (1, 33, 47)."""
    torch.manual_seed(0)
    blocks = torch.randint(0, 3, (3, 7, 10)).repeat_interleave(5, 1).repeat_interleave(5, 2)
    truth, found, coarse = blocks[:, :33, :47, None].movedim(3, 1).unbind(0)
    truth = truth.clone()
    truth[:, :4, 9:30] = 255
    return truth, found, coarse


@pytest.mark.parametrize(
    "config",
    [
        dict(type="TrimapIoUMetric", widths=[2, 5]),
        dict(type="BoundaryIoUMetric", distances=[2, 0.05]),
        dict(type="RefinementMetric", widths=[2, 5]),
        dict(type="IoUMetric"),
    ],
    ids=lambda config: config["type"],
)
def test_metrics(config: dict) -> None:
    outcomes = []
    for device in ("cpu", "cuda:0"):
        metric = METRICS.build(config)
        metric.dataset_meta = dict(classes=CLASSES)
        for turn in range(2):
            truth, found, coarse = (values.roll(turn, 2) for values in maps())
            sample = dict(
                gt_sem_seg=dict(data=truth),
                pred_sem_seg=dict(data=found.to(device)),
                coarse_sem_seg=dict(data=coarse.to(device)),
                img_path="picture.png",
            )
            metric.process({}, [sample])
        outcomes.append(metric.evaluate(size=2))
    assert outcomes[0] == outcomes[1] and outcomes[0]


def test_functions() -> None:
    truth, found, _ = maps()
    assert_same(lambda labels: trimaps(labels, [1, 3]), truth)
    assert_same(lambda labels: inner_boundary(labels, 2), truth)
    assert_same(lambda labels: mask_boundary(labels == 1, 2), truth)
    assert_same(lambda labels: squared_distances(labels == 1, 6), truth)
    valid = truth != 255
    assert_same(lambda *given: intersections_and_unions(*given[:2], 3, *given[2:]),
                found, truth, valid, valid)  # fmt: skip
