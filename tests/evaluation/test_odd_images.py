"""Images and settings that all metrics must survive, or refuse with a reason."""

import math

import pytest
import torch
from mmseg.registry import METRICS
from torch import Tensor

import mmseg_pointrend.evaluation  # noqa: F401 - registers the metrics
from tests.evaluation.scenes import CLASSES, sample, samples

METRIC_TYPES = ("TrimapIoUMetric", "BoundaryIoUMetric", "RefinementMetric")
ALL = pytest.mark.parametrize("kind", METRIC_TYPES)


def evaluate(kind: str, items: list[dict], **arguments: object) -> dict[str, float]:
    metric = METRICS.build(dict(type=kind, **arguments))
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, items)
    return metric.evaluate(size=len(items))


def predicted(truth: Tensor, labels: Tensor) -> dict:
    return sample(truth, labels, labels)


def filled(*size: int, label: int = 0) -> Tensor:
    return torch.full((1, *size), label)


@ALL
@pytest.mark.parametrize("size", [(1, 9), (9, 1), (1, 1), (5, 7)])
def test_one_class(kind: str, size: tuple[int, int]) -> None:
    """There is no boundary to put a band around; the picture's edge is a contour."""
    got = evaluate(kind, [predicted(filled(*size), filled(*size))])
    assert got
    for name, value in got.items():
        expected = math.nan if "trimap" in name else 0 if "gain" in name else 100
        assert value == pytest.approx(expected, nan_ok=True), name


@ALL
def test_an_image_of_void_counts_nothing(kind: str) -> None:
    void = predicted(filled(5, 7, label=255), filled(5, 7, label=1))
    assert all(math.isnan(value) for value in evaluate(kind, [void]).values())
    items = samples(2)
    assert evaluate(kind, [void, *items]) == evaluate(kind, items)


@ALL
@pytest.mark.parametrize("label", [-1, 77, 255, 2_000_000_000])
def test_a_label_that_is_no_class_is_wrong(kind: str, label: int) -> None:
    truth = filled(4, 6)
    truth[..., 3:] = 1
    got = evaluate(kind, [predicted(truth, filled(4, 6, label=label))])
    assert set(got.values()) == {0}


@pytest.mark.parametrize("kind", ["BoundaryIoUMetric", "RefinementMetric"])
def test_a_void_class_that_is_predicted_makes_a_contour(kind: str) -> None:
    """`ignore_index` may be a class of the model; only in the truth does it mean unknown."""
    truth, labels = filled(9, 9, label=1), filled(9, 9, label=1)
    labels[0, 4, 4] = 0
    got = evaluate(kind, [predicted(truth, labels)], ignore_index=0, distances=(1,))
    # Class 1: the edge's 32 pixels, and 8 around the hole that are not there. Class 0: never right.
    values = [value for name, value in got.items() if "boundary" in name and "gain" not in name]
    assert values and set(values) == {100 * 32 / 40 / 2}


@ALL
@pytest.mark.parametrize(
    ("truth", "labels"), [((1, 5, 7), (1, 6, 7)), ((1, 5, 7), (1, 1, 7)), ((5, 7), (1, 5, 7))]
)
def test_other_sizes_than_the_truths_are_refused(
    kind: str, truth: tuple[int, ...], labels: tuple[int, ...]
) -> None:
    """Also those that torch would stretch to fit."""
    item = predicted(torch.zeros(truth).long(), torch.zeros(labels).long())
    with pytest.raises(ValueError, match=r"must both be \(1, H, W\).*LoadAnnotations"):
        evaluate(kind, [item])


@ALL
def test_images_without_labels(kind: str) -> None:
    items = samples(3)
    unlabelled = {name: data for name, data in items[1].items() if name != "gt_sem_seg"}
    assert evaluate(kind, [unlabelled]) == {}
    assert evaluate(kind, [items[0], unlabelled, items[2]]) == evaluate(kind, items[::2])
    # It keeps its place: what lies beyond the data set's size was repeated to fill up a rank.
    metric = METRICS.build(dict(type=kind))
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, [items[0], unlabelled, items[2], items[0]])
    assert metric.evaluate(size=3) == evaluate(kind, items[::2])


@ALL
def test_wrong_arguments_are_named(kind: str) -> None:
    name, wrong = ("distances", 0.02) if kind == "BoundaryIoUMetric" else ("widths", 8)
    with pytest.raises(TypeError, match=f"{name} must be a list or tuple, got {wrong}"):
        METRICS.build({"type": kind, name: wrong})
    if kind != "RefinementMetric":
        with pytest.raises(ValueError, match="nothing to measure"):
            METRICS.build({"type": kind, name: ()})
    with pytest.raises(ValueError, match="must be an integer >= 1 .*, got -1"):
        METRICS.build({"type": kind, name: [-1]})
