"""Which points are chosen."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_pointrend.core import (
    logit_margin,
    most_uncertain_pixels,
    point_sample,
    select_training_points,
)


@given(
    num_points=st.integers(1, 40),
    oversample=st.floats(1, 5),
    importance=st.floats(0, 1),
    regions=st.integers(0, 3),
    classes=st.sampled_from([1, 2, 5]),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=60)
def test_the_important_points_are_the_most_uncertain_candidates(
    num_points, oversample, importance, regions, classes, seed
) -> None:
    logits = torch.randn(regions, classes, 6, 9, generator=torch.Generator().manual_seed(seed))
    points = select_training_points(
        logits, num_points, oversample, importance, generator=torch.Generator().manual_seed(seed)
    )
    assert points.shape == (regions, num_points, 2)
    assert ((points >= 0) & (points < 1)).all()
    # The same candidates, drawn again; ranked one region at a time by a plain sort.
    generator = torch.Generator().manual_seed(seed)
    candidates = torch.rand(regions, int(oversample * num_points), 2, generator=generator)
    number = int(importance * num_points)
    for n in range(regions):
        margins = logit_margin(point_sample(logits[n : n + 1], candidates[n : n + 1]))[0]
        expected = margins.sort().values[:number]
        got = logit_margin(point_sample(logits[n : n + 1], points[n : n + 1]))[0][:number]
        torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_margins_are_taken_of_interpolated_logits() -> None:
    """Half-way between -1 and +1 the logit is 0; the margins there would both be 1."""
    logits = torch.tensor([[[[-1.0, 1.0]]]])
    points = select_training_points(logits, 50, 20, 1.0, generator=torch.Generator().manual_seed(0))
    assert (points[..., 0] - 0.5).abs().max() < 0.05


def test_coverage_is_uniform() -> None:
    logits = torch.zeros(1, 2, 8, 8)
    logits[:, 0, :, :4], logits[:, 1, :, 4:] = 5.0, 5.0
    points = select_training_points(
        logits, 4000, importance_sample_ratio=0, generator=torch.Generator().manual_seed(0)
    )
    histogram = torch.histc(points[..., 0], 4, 0, 1)
    assert (histogram / 1000 - 1).abs().max() < 0.1


def test_selection_carries_no_gradient() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    assert not select_training_points(logits, 8).requires_grad


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        (dict(num_points=0), r"num_points \(N\) must be an integer >= 1, got 0"),
        (dict(num_points=1.5), r"num_points \(N\) .* got 1.5"),
        (dict(num_points=4, oversample_ratio=0.5), r"oversample_ratio \(k\) must be >= 1, got 0.5"),
        (dict(num_points=4, oversample_ratio=float("nan")), "oversample_ratio"),
        (
            dict(num_points=4, importance_sample_ratio=1.2),
            r"\(beta\) must lie in \[0, 1\], got 1.2",
        ),
    ],
)
def test_settings_out_of_range_are_named(settings_, message) -> None:
    with pytest.raises(ValueError, match=message):
        select_training_points(torch.zeros(1, 2, 4, 4), **settings_)


@given(
    st.integers(0, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 99), st.integers(0, 99)
)
@settings(deadline=None, max_examples=60)
def test_most_uncertain_pixels_are_the_smallest_margins(regions, height, width, number, seed):
    margins = torch.rand(regions, height, width, generator=torch.Generator().manual_seed(seed))
    indices = most_uncertain_pixels(margins, number)
    expected = margins.flatten(1).sort(1).values[:, :number]
    assert torch.equal(margins.flatten(1).gather(1, indices), expected)
