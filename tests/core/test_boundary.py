"""Bands and counts against slow, obvious references."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmseg_pointrend.core import boundary_pixels, confusion_matrix, iou_per_class, trimap


def trimap_slowly(labels: Tensor, width: int) -> Tensor:
    """(H, W) -> (H, W): try every pair of pixels."""
    height, columns = labels.shape
    edges = []
    for y in range(height):
        for x in range(columns):
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= v < height and 0 <= u < columns
                if inside and labels[v, u] != labels[y, x] and 255 not in (
                    labels[v, u], labels[y, x]
                ):  # fmt: skip
                    edges.append((y, x))
    band = torch.zeros(height, columns, dtype=torch.bool)
    for y in range(height):
        for x in range(columns):
            band[y, x] = labels[y, x] != 255 and any(
                (y - v) ** 2 + (x - u) ** 2 <= (width - 1) ** 2 for v, u in edges
            )
    return band


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_trimap_is_the_band_of_that_width(height, width, band, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    choices = torch.tensor([0, 0, 0, 0, 1, 2, 255])
    blocks = choices[torch.randint(0, 7, (2, 4, 4), generator=generator)]
    labels = blocks.repeat_interleave(3, 1).repeat_interleave(3, 2)[:, :height, :width]
    expected = torch.stack([trimap_slowly(item, band) for item in labels])
    assert torch.equal(trimap(labels, band), expected)


def test_boundary_pixels_by_hand() -> None:
    labels = torch.tensor([[[0, 0, 1, 255, 2, 2, 3]]])
    assert boundary_pixels(labels).int().tolist() == [[[0, 1, 1, 0, 0, 1, 1]]]


def test_trimap_refuses_no_width() -> None:
    with pytest.raises(ValueError, match="width must be an integer >= 1 .*, got 0"):
        trimap(torch.zeros(1, 3, 3).long(), 0)


def test_confusion_and_iou_by_hand() -> None:
    target = torch.tensor([0, 0, 1, 1, 255, 2])
    predicted = torch.tensor([0, 1, 1, 1, 0, 0])
    confusion = confusion_matrix(predicted, target, 4)
    assert confusion.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    iou = iou_per_class(confusion)
    torch.testing.assert_close(iou[:3], torch.tensor([1 / 3, 2 / 3, 0], dtype=torch.double))
    assert iou[3].isnan()
    masked = confusion_matrix(predicted, target, 4, target == 1)
    assert masked.sum() == masked[1, 1] == 2
