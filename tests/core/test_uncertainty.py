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
