"""Masks of boxes in pictures, against `Place` and against a loop over pixels."""

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from mmseg_pointrend.core import Place, paste_masks, pasting

#: As it chooses by device, and the way of accelerators on a CPU.
WAYS = (paste_masks, pasting._paste_windows)


def side(limit: float) -> st.SearchStrategy[float]:
    return st.floats(-limit / 2, 1.5 * limit, width=32) | st.integers(0, int(limit)).map(float)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_it_is_place_and_a_decision(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    count = data.draw(st.integers(0, 4))
    drawn = [
        [data.draw(side(limit)) for limit in (width, height, width, height)] for _ in range(count)
    ]
    boxes = torch.tensor(drawn, dtype=torch.double).view(count, 2, 2)
    boxes = boxes.sort(dim=1).values.view(count, 4)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    shape = (count, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    probabilities = torch.rand(shape, generator=generator, dtype=torch.double)
    threshold = data.draw(st.sampled_from([0.1, 0.5, 0.9]))

    placed = Place(boxes, height, width).apply(probabilities[:, None])[:, 0] if count else None
    for paste in WAYS:
        found = paste(probabilities, boxes, (height, width), threshold)
        assert found.shape == (count, height, width) and found.dtype == torch.bool
        if count:
            sure = (placed - threshold).abs() > 1e-9
            assert torch.equal(found[sure], (placed >= threshold)[sure])


@pytest.mark.parametrize("way", WAYS)
def test_many_large_boxes_go_in_chunks(way: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities = torch.rand(7, 5, 6, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[-3.0, 2.0, 50.0, 31.5]]).repeat(7, 1)
    whole = way(probabilities, boxes, (37, 41), 0.5)
    monkeypatch.setattr(pasting, "piece_size", lambda *_: 3 * 4 * 37 * 41)
    assert torch.equal(way(probabilities, boxes, (37, 41), 0.5), whole)


@pytest.mark.parametrize(
    "box",
    [
        [3.0, 1, 3, 5],
        [5, 1, 3, 5],
        [float("nan"), 1, 3, 5],
        [0, 0, float("inf"), 4],
        [50, 50, 60, 60],
        [-3e38, -3e38, -2e38, 3e38],
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_boxes_that_cover_nothing(way: Callable, box: list[float]) -> None:
    boxes = torch.tensor([box, [1, 2, 5, 4]])
    found = way(torch.ones(2, 4, 4), boxes, (9, 11), 0.6)
    assert not found[0].any() and found[1].sum() == 4 * 2


@pytest.mark.parametrize("way", WAYS)
def test_a_box_of_the_whole_picture_and_one_of_a_pixel(way: Callable) -> None:
    boxes = torch.tensor([[0.0, 0, 11, 9], [4, 5, 5, 6]])
    found = way(torch.ones(2, 28, 28), boxes, (9, 11), 0.5)
    assert found[0].all()
    assert found[1].nonzero().tolist() == [[5, 4]]


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="same N"):
        paste_masks(torch.ones(2, 4, 4), torch.zeros(1, 4), (5, 5))
    with pytest.raises(ValueError, match="threshold must be above 0, got 0"):
        paste_masks(torch.ones(1, 4, 4), torch.zeros(1, 4), (5, 5), 0)
