"""Margins against their definitions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_pointrend.core import MARGINS, logit_margin, probability_margin


@given(st.integers(2, 20), st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_margins_are_the_difference_of_the_two_largest(classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 3, 5, generator=generator, dtype=torch.double)
    for margin, values in (
        (logit_margin, logits),
        (probability_margin, logits.exp() / logits.exp().sum(1, keepdim=True)),
    ):
        ordered = values.sort(dim=1, descending=True).values
        torch.testing.assert_close(margin(logits), ordered[:, 0] - ordered[:, 1])


def test_one_channel_is_the_distance_to_the_decision() -> None:
    logits = torch.tensor([[[-3.0, 0.0, 2.0]]])
    assert logit_margin(logits).tolist() == [[3.0, 0.0, 2.0]]
    probability = logits.sigmoid()[:, 0]
    torch.testing.assert_close(probability_margin(logits), (2 * probability - 1).abs())


@pytest.mark.parametrize("margin", MARGINS.values(), ids=MARGINS)
def test_two_channels_rank_pixels_as_one_channel_does(margin) -> None:
    one = torch.randn(1, 1, 40)
    two = torch.cat([-one / 2, one / 2], dim=1)
    torch.testing.assert_close(margin(one), margin(two))


def test_ties_have_no_margin() -> None:
    assert logit_margin(torch.ones(1, 4, 2)).tolist() == [[0.0, 0.0]]
    assert probability_margin(torch.ones(1, 4, 2)).tolist() == [[0.0, 0.0]]


@given(st.integers(2, 20), st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_from_the_gap_on_no_margin_is_smaller(classes: int, seed: int) -> None:
    """What the sparse rendering relies on: a gap of `gap_at(m)` or more means a margin >= m."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(1, classes, 200, generator=generator, dtype=torch.double)
    # All others as strong as the second: the worst case of the probabilities.
    logits[:, 1:, :50] = logits[:, 1:2, :50]
    ordered = logits.sort(dim=1, descending=True).values
    gaps = ordered[:, 0] - ordered[:, 1]
    for margin in MARGINS.values():
        for value in (0.0, 0.01, 0.5, 0.99, 1.0, 3.0):
            bound = margin.gap_at(torch.tensor(value, dtype=torch.double), classes)
            assert (margin(logits)[gaps >= bound * (1 + 1e-12)] >= value - 1e-12).all()


def test_logits_without_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"logits must have shape \(N, K, ...\) .* got \(5,\)"):
        logit_margin(torch.zeros(5))
