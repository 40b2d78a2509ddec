"""Which points are trained on."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_pointrend.core import (
    TRAINING_STRATEGIES,
    Bias,
    TrainingPoints,
    logit_margin,
    point_sample,
    regular_grid,
    select_training_points,
)

STRATEGIES = list(TRAINING_STRATEGIES)


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
        logits,
        TrainingPoints(num_points, oversample_ratio=oversample, importance_sample_ratio=importance),
        generator=torch.Generator().manual_seed(seed),
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
    points = select_training_points(
        logits,
        TrainingPoints(50, oversample_ratio=20, importance_sample_ratio=1.0),
        generator=torch.Generator().manual_seed(0),
    )
    assert (points[..., 0] - 0.5).abs().max() < 0.05


def test_coverage_is_uniform() -> None:
    logits = torch.zeros(1, 2, 8, 8)
    logits[:, 0, :, :4], logits[:, 1, :, 4:] = 5.0, 5.0
    points = select_training_points(
        logits,
        TrainingPoints(4000, importance_sample_ratio=0),
        generator=torch.Generator().manual_seed(0),
    )
    histogram = torch.histc(points[..., 0], 4, 0, 1)
    assert (histogram / 1000 - 1).abs().max() < 0.1


@pytest.mark.parametrize("strategy", [None, *STRATEGIES])
def test_selection_carries_no_gradient(strategy: str | None) -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    assert not select_training_points(logits, TrainingPoints(8, strategy)).requires_grad


# ---- strategies ----------------------------------------------------------------------------------


@given(
    strategy=st.sampled_from(STRATEGIES),
    num_points=st.integers(1, 150),
    regions=st.integers(0, 3),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    classes=st.sampled_from([1, 2, 5]),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=100)
def test_every_strategy_gives_the_number_asked_for(
    strategy, num_points, regions, height, width, classes, seed
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(regions, classes, height, width, generator=generator)

    def select() -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return select_training_points(
            logits, TrainingPoints(num_points, strategy), generator=generator
        )

    points = select()
    assert points.shape == (regions, num_points, 2) and points.dtype == torch.float32
    assert ((points >= 0) & (points < 1)).all()
    assert torch.equal(points, select())


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_a_name_stands_for_k_and_beta(strategy: str) -> None:
    logits = torch.randn(2, 3, 9, 14)
    expected = select_training_points(
        logits,
        TrainingPoints(50, None, *TRAINING_STRATEGIES[strategy]),
        generator=torch.Generator().manual_seed(1),
    )
    points = select_training_points(
        logits, TrainingPoints(50, strategy), generator=torch.Generator().manual_seed(1)
    )
    assert torch.equal(points, expected)


def test_without_a_name_the_bias_is_mild() -> None:
    logits = torch.randn(2, 3, 9, 14)
    plain, named = (
        select_training_points(
            logits, TrainingPoints(50, **options), generator=torch.Generator().manual_seed(1)
        )
        for options in ({}, dict(strategy="mildly-biased"))
    )
    assert torch.equal(plain, named)


def test_a_grid_is_the_same_in_every_region_and_takes_no_random_numbers() -> None:
    before = torch.get_rng_state()
    points = select_training_points(
        torch.zeros(2, 3, 8, 16, dtype=torch.double), TrainingPoints(18, "regular-grid")
    )
    assert torch.equal(torch.get_rng_state(), before)
    grid = regular_grid(18, (8, 16), torch.double)
    assert torch.equal(points, torch.stack([grid, grid]))


def test_shares_of_uncertain_points_follow_from_k_and_beta() -> None:
    """A tenth of the map is uncertain: of the points 0.1; 0.3 + 0.25 * 0.1; and all.

    Of 3 N candidates 0.3 N are uncertain, fewer than the 0.75 N kept; of 10 N candidates, N.
    """
    ramp = (torch.arange(100) + 0.5) / 100 - 0.5
    logits = ramp.expand(1, 1, 100, 100).contiguous()
    expected = {
        "regular-grid": 0.1, "uniform": 0.1, "mildly-biased": 0.325, "heavily-biased": 1.0,
    }  # fmt: skip
    shares = {}
    for strategy in STRATEGIES:
        points = select_training_points(
            logits, TrainingPoints(4900, strategy), generator=torch.Generator().manual_seed(0)
        )
        shares[strategy] = float(((points[..., 0] - 0.5).abs() < 0.05).float().mean())
    assert shares == pytest.approx(expected, abs=0.03)
    assert shares["uniform"] < shares["mildly-biased"] < shares["heavily-biased"]


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        (dict(num_points=0), r"num_points \(N\) must be an integer >= 1, got 0"),
        (dict(num_points=1.5), r"num_points \(N\) .* got 1.5"),
        (dict(num_points=True), r"num_points \(N\) .* got True"),
        (dict(num_points=4, oversample_ratio=0.5), r"oversample_ratio \(k\) must be >= 1, got 0.5"),
        (dict(num_points=4, oversample_ratio=float("nan")), "oversample_ratio"),
        (
            dict(num_points=4, importance_sample_ratio=1.2),
            r"\(beta\) must lie in \[0, 1\], got 1.2",
        ),
        (dict(num_points=4, strategy="grid"), "strategy must be one of .*, got 'grid'"),
        (
            dict(num_points=4, strategy="uniform", oversample_ratio=2),
            "oversample_ratio=2 contradicts strategy='uniform'",
        ),
        (dict(num_points=0, strategy="regular-grid"), r"num_points \(N\) .* got 0"),
    ],
)
def test_settings_out_of_range_are_named(settings_, message) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingPoints(**settings_)


def test_the_strategies_are_the_rows_of_the_papers_table() -> None:
    assert TRAINING_STRATEGIES == {
        "regular-grid": None,
        "uniform": (1, 0),
        "mildly-biased": (3, 0.75),
        "heavily-biased": (10, 1),
    }
    for name, bias in TRAINING_STRATEGIES.items():
        assert TrainingPoints(strategy=name).bias == bias


@pytest.mark.parametrize(
    ("given", "bias"),
    [
        ({}, (3, 0.75)),
        (dict(oversample_ratio=5), (5, 0.75)),
        (dict(importance_sample_ratio=0), (3, 0)),
        (dict(oversample_ratio=1.5, importance_sample_ratio=0.5), (1.5, 0.5)),
        # What a config and its base say alike is no contradiction.
        (dict(strategy="heavily-biased", oversample_ratio=10), (10, 1)),
    ],
)
def test_numbers_not_given_are_those_of_the_mild_bias(given: dict, bias: tuple) -> None:
    assert TrainingPoints(**given).bias == bias


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            dict(strategy="biased"),
            r"strategy must be one of \['regular-grid', 'uniform', 'mildly-biased', "
            r"'heavily-biased'\], got 'biased'",
        ),
        (
            dict(strategy="uniform", oversample_ratio=3),
            "oversample_ratio=3 contradicts strategy='uniform', which means 1.0; give the strategy",
        ),
        (
            dict(strategy="heavily-biased", importance_sample_ratio=0.75),
            "importance_sample_ratio=0.75 contradicts strategy='heavily-biased', which means 1.0",
        ),
        (
            dict(strategy="regular-grid", importance_sample_ratio=0),
            "importance_sample_ratio=0 contradicts .*'regular-grid', which has no random points",
        ),
        (dict(oversample_ratio=0.9), r"oversample_ratio \(k\) must be >= 1, got 0.9"),
        (dict(importance_sample_ratio=-0.1), r"\(beta\) must lie in \[0, 1\], got -0.1"),
    ],
)
def test_contradictions_are_named(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingPoints(**given)


def test_points_of_a_bias_are_counted_as_in_mmsegmentation() -> None:
    """Rounded down, candidates and important points alike: 3 * 49, 0.75 * 49 = 36.75."""
    bias = TrainingPoints().bias
    assert (bias.count_candidates(49), bias.count_important(49)) == (147, 36)
    assert (Bias(1.5, 0).count_candidates(3), Bias(1.5, 0).count_important(3)) == (4, 0)


def test_a_number_of_numpy_is_a_number() -> None:
    points = TrainingPoints(np.int64(7))
    assert select_training_points(torch.zeros(1, 2, 4, 4), points).shape == (1, 7, 2)


def test_it_is_a_sampler() -> None:
    logits = torch.randn(2, 3, 9, 14)
    torch.manual_seed(3)
    expected = select_training_points(logits, TrainingPoints(20), logit_margin)
    torch.manual_seed(3)
    assert torch.equal(TrainingPoints(20)(logits, logit_margin), expected)


def test_any_function_is_a_margin() -> None:
    """The points of largest logit 0, whatever the other logits are."""
    logits = torch.zeros(1, 2, 1, 4)
    logits[0, 0, 0] = torch.tensor([0.0, 0.0, 5.0, 5.0])
    points = select_training_points(
        logits, TrainingPoints(30, "heavily-biased"), margin=lambda logits: -logits[:, 0]
    )
    assert (points[..., 0] > 0.5).all()


def test_logits_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"logits must have shape \(N, K, h, w\), got \(2, 4\)"):
        select_training_points(torch.zeros(2, 4), TrainingPoints(3))
