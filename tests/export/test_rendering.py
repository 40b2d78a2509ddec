"""Rendering by operators of fixed length gives what `core.render` gives."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmseg_pointrend.core import Subdivision, logit_margin, most_uncertain_pixels, render
from mmseg_pointrend.export.rendering import render_any_size, smallest


def point_head(points: torch.Tensor) -> torch.Tensor:
    """Three logits that depend on the place alone."""
    x, y = points.unbind(2)
    return torch.stack([(9 * x).sin(), (7 * y).cos(), 5 * (x - y)], dim=1)


def without_ties(logits: torch.Tensor) -> torch.Tensor:
    """A margin by which no two pixels are equal, as pixels along an edge otherwise are."""
    place = torch.linspace(0, 1e-3, logits[0, 0].numel()).view(logits.shape[2:])
    return logit_margin(logits) + place


@pytest.mark.parametrize("num_points", [1, 7, 40, 10_000, "stride-16"])
@pytest.mark.parametrize("max_margin", [math.inf, 0.3])
@pytest.mark.parametrize("most_at_once", [None, 3, 64])
def test_the_logits_are_those_of_the_reference(num_points, max_margin, most_at_once) -> None:
    coarse = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    subdivision = Subdivision(3, num_points, max_margin=max_margin, margin=without_ties)
    expected = render(coarse, point_head, subdivision)
    found = render_any_size(coarse, point_head, subdivision, most_at_once)
    assert torch.equal(found, expected)


def test_one_logit_and_another_factor() -> None:
    coarse = torch.randn(1, 1, 4, 3, generator=torch.Generator().manual_seed(0))
    subdivision = Subdivision(steps=2, num_points=20, scale_factor=3, margin=without_ties)

    def predict(points: torch.Tensor) -> torch.Tensor:
        return points[..., :1].mT - 0.4

    expected = render(coarse, predict, subdivision)
    assert torch.equal(render_any_size(coarse, predict, subdivision, 7), expected)


@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 40), st.integers(0, 99))
def test_rounds_choose_what_one_top_k_chooses(count, most_at_once, places, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randperm(places, generator=generator)[None].float()
    found = smallest(values, count, most_at_once)
    assert found.shape == (1, count)
    expected = most_uncertain_pixels(values[:, None], count)[0].tolist()
    assert found[0, : len(expected)].tolist() == expected
    assert set(found[0].tolist()) == set(expected)
