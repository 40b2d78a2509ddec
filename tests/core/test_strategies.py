"""Names of strategies, and the numbers that they stand for."""

import pytest

from mmseg_pointrend.core import TRAINING_STRATEGIES, Bias, check_training_selection, resolve_bias


def test_the_strategies_are_the_rows_of_the_papers_table() -> None:
    assert TRAINING_STRATEGIES == {
        "regular-grid": None,
        "uniform": (1, 0),
        "mildly-biased": (3, 0.75),
        "heavily-biased": (10, 1),
    }
    for name, bias in TRAINING_STRATEGIES.items():
        assert resolve_bias(name) == bias


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
    assert resolve_bias(**given) == bias


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
        resolve_bias(**given)
    with pytest.raises(ValueError, match=message):
        check_training_selection(4, **given)


def test_points_of_a_bias_are_counted_as_in_mmsegmentation() -> None:
    """Rounded down, candidates and important points alike: 3 * 49, 0.75 * 49 = 36.75."""
    bias = resolve_bias()
    assert (bias.count_candidates(49), bias.count_important(49)) == (147, 36)
    assert (Bias(1.5, 0).count_candidates(3), Bias(1.5, 0).count_important(3)) == (4, 0)
