"""Sliding windows: positions as mmsegmentation's, labels as of a sum over the whole image."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmseg_pointrend.core import LogitBand, Window, list_windows, slide_labels

side = st.integers(1, 40)
layouts = st.tuples(side, side, side, side).flatmap(
    lambda s: st.tuples(
        st.just(s[:2]), st.just(s[2:]), st.tuples(st.integers(1, s[2]), st.integers(1, s[3]))
    )
)


def naive_mean(size: tuple, windows: list[Window], logits: list[Tensor]) -> Tensor:
    """Add every window to a sum over the whole image, as large as it is."""
    total = torch.zeros(*logits[0].shape[:2], *size)
    count = torch.zeros(size)
    for (top, left, bottom, right), values in zip(windows, logits, strict=True):
        total[:, :, top:bottom, left:right] += values
        count[top:bottom, left:right] += 1
    return total / count


@settings(deadline=None, max_examples=200)
@given(layouts)
def test_positions_are_mmsegmentations(layout: tuple) -> None:
    """Its two loops, restated: from every start to the window's end, moved back at the border."""
    size, window, stride = layout
    expected = []
    rows, columns = (-(-max(size[i] - window[i], 0) // stride[i]) + 1 for i in (0, 1))
    for row in range(rows):
        for column in range(columns):
            bottom = min(row * stride[0] + window[0], size[0])
            right = min(column * stride[1] + window[1], size[1])
            expected.append((max(bottom - window[0], 0), max(right - window[1], 0), bottom, right))
    assert list_windows(size, window, stride) == expected


def test_positions_by_hand() -> None:
    windows = list_windows((5, 9), (5, 4), (3, 3))
    assert windows == [(0, 0, 5, 4), (0, 3, 5, 7), (0, 5, 5, 9)]
    assert list_windows((5, 9), (100, 100), (1, 1)) == [(0, 0, 5, 9)]


@settings(deadline=None, max_examples=200)
@given(layouts, st.integers(1, 2), st.integers(0, 2**31))
def test_rows_equal_those_of_the_whole_sum(layout: tuple, batch: int, seed: int) -> None:
    size, window, stride = layout
    windows = list_windows(size, window, stride)
    generator = torch.Generator().manual_seed(seed)
    logits = [
        torch.randn(batch, 3, w.bottom - w.top, w.right - w.left, generator=generator)
        for w in windows
    ]
    lookup = dict(zip(windows, logits, strict=True))
    maps = list(slide_labels(windows, size, lambda w: [lookup[w], -2 * lookup[w]], torch.clone))
    found = [(rows, mean) for rows, (mean, _) in maps]
    assert [rows.start for rows, _ in found] == [0, *(rows.stop for rows, _ in found)][:-1]
    assert found[-1][0].stop == size[0]
    # The same additions in the same order: equal to the last bit.
    expected = naive_mean(size, windows, logits)
    assert torch.equal(torch.cat([mean for _, mean in found], 2), expected)
    # A second prediction of the same windows is averaged beside the first.
    assert torch.equal(torch.cat([mean for _, (_, mean) in maps], 2), -2 * expected)


def test_labels_by_hand() -> None:
    """Two windows of two rows over three rows: the middle row is the mean, 1 wins over 3 - 4."""
    logits = {
        Window(0, 0, 2, 1): torch.tensor([[[[0.0], [3.0]], [[1.0], [0.0]]]]),
        Window(1, 0, 3, 1): torch.tensor([[[[-4.0], [1.0]], [[0.0], [0.0]]]]),
    }
    found = slide_labels(logits, (3, 1), lambda w: [logits[w]], lambda mean: mean.argmax(1))
    assert [(rows, labels.flatten().tolist()) for rows, (labels,) in found] == [
        (slice(0, 1), [1]),
        (slice(1, 3), [1, 0]),
    ]


def test_a_band_is_all_that_is_held(monkeypatch) -> None:
    """However high the image: (N K + 1) x window's height x image's width numbers of 4 bytes."""
    bands = []
    initialise = LogitBand.__init__

    def remember(self: LogitBand, *args: object) -> None:
        initialise(self, *args)
        bands.append(self)

    monkeypatch.setattr(LogitBand, "__init__", remember)
    for height in (7, 70, 700):
        windows = list_windows((height, 30), (7, 11), (3, 5))
        pixels = 0
        for _, (labels,) in slide_labels(
            windows, (height, 30), lambda w: [torch.zeros(2, 5, 7, 11)], lambda mean: mean.argmax(1)
        ):
            pixels += labels.numel()
            held = (bands[-1].total, bands[-1].count)
            assert sum(t.untyped_storage().nbytes() for t in held) == (2 * 5 + 1) * 7 * 30 * 4
        assert pixels == 2 * height * 30
    assert len(bands) == 3


def test_half_precision_is_added_in_single() -> None:
    windows = [Window(0, 0, 1, 1)] * 3
    values = iter((2048.0, 1.0, 1.0))
    ((_, (mean,)),) = slide_labels(
        windows, (1, 1), lambda _: [torch.full((1, 1, 1, 1), next(values)).half()], torch.clone
    )
    assert mean.dtype == torch.float32 and mean.item() == pytest.approx(2050 / 3)


@pytest.mark.parametrize(
    ("size", "window", "stride", "message"),
    [
        ((0, 5), (2, 2), (1, 1), "size must be two integers >= 1, got \\(0, 5\\)"),
        ((5, 5), (2, 0), (1, 1), "window must be two integers >= 1, got \\(2, 0\\)"),
        ((5, 5), (2, 2), (0, 1), "stride must be two integers >= 1, got \\(0, 1\\)"),
        ((5, 5), (2, 2), (2, 3), "stride must not exceed the window, \\(2, 2\\).*got \\(2, 3\\)"),
    ],
)
def test_bad_layouts(size: tuple, window: tuple, stride: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list_windows(size, window, stride)


def test_logits_of_another_size_are_refused() -> None:
    windows = list_windows((4, 4), (4, 4), (4, 4))
    with pytest.raises(ValueError, match="the window's size \\(4, 4\\), got \\(1, 1\\)"):
        list(slide_labels(windows, (4, 4), lambda _: [torch.zeros(1, 2, 1, 1)], torch.clone))
