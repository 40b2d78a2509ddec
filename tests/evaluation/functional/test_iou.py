"""Counts and IoU on small grids, and against sets of pixels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_pointrend.evaluation.functional import intersections_and_unions, iou_per_class


def test_counts_and_iou_by_hand() -> None:
    target = torch.tensor([0, 0, 1, 1, 255, 2])
    predicted = torch.tensor([0, 1, 1, 1, 0, 0])
    valid = target != 255
    counts = intersections_and_unions(predicted, target, 4, valid, valid)
    assert counts.tolist() == [[1, 2, 0, 0], [3, 3, 1, 0]]
    iou = iou_per_class(counts)
    torch.testing.assert_close(iou[:3], torch.tensor([1 / 3, 2 / 3, 0], dtype=torch.double))
    assert iou[3].isnan()
    ones = target == 1
    assert intersections_and_unions(predicted, target, 4, ones, ones).sum(1).tolist() == [2, 2]


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_labels_out_of_range_belong_to_no_mask(dtype) -> None:
    """As in mmsegmentation: they are misses where another class is true."""
    target = torch.tensor([0, 0, 1, 7, -1], dtype=dtype)
    predicted = torch.tensor([0, -5, 2_000_000_000, 0, 1], dtype=dtype)
    everywhere = torch.ones(5, dtype=torch.bool)
    counts = intersections_and_unions(predicted, target, 2, everywhere, everywhere)
    assert counts.tolist() == [[1, 0], [3, 2]]


@given(st.integers(1, 60), st.integers(1, 6), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_counts_are_those_of_sets_of_pixels(pixels, num_classes, seed) -> None:
    """The two masks of a class have regions of their own, as for the Boundary IoU."""
    generator = torch.Generator().manual_seed(seed)
    predicted = torch.randint(0, num_classes, (pixels,), generator=generator)
    target = torch.randint(0, num_classes, (pixels,), generator=generator)
    target[torch.rand(pixels, generator=generator) < 0.2] = 255
    found_in, true_in = torch.rand(2, pixels, generator=generator) < 0.7
    counts = intersections_and_unions(predicted, target, num_classes, found_in, true_in)
    for label in range(num_classes):
        found = {i for i in range(pixels) if found_in[i] and predicted[i] == label}
        true = {i for i in range(pixels) if true_in[i] and target[i] == label}
        assert counts[:, label].tolist() == [len(found & true), len(found | true)]


def test_shapes_that_differ_are_named() -> None:
    labels, region = torch.zeros(4, 5).long(), torch.ones(4, 5, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"target must have the shape of predicted, \(4, 5\), got"):
        intersections_and_unions(labels, labels[0], 2, region, region)
    with pytest.raises(ValueError, match="target_region must have the shape of predicted"):
        intersections_and_unions(labels, labels, 2, region, region[0])
    with pytest.raises(ValueError, match=r"counts must have shape \(..., 2, K\), got \(3,\)"):
        iou_per_class(torch.zeros(3))
