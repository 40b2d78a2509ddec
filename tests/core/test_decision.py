"""Decisions: which label logits and probabilities mean."""

import pytest
import torch

from mmseg_pointrend.core import THRESHOLD, decide, decide_by_probability


def test_the_largest_wins_and_the_first_of_equals() -> None:
    logits = torch.tensor([[[1.0, 2.0, 5.0], [3.0, 2.0, 5.0], [0.0, 2.0, 7.0]]])
    assert decide(logits).tolist() == [[1, 0, 2]]
    assert decide_by_probability(logits.softmax(1)).tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("threshold", [None, 0.3, 0.7])
def test_one_logit_is_compared_with_the_threshold(threshold: float | None) -> None:
    probabilities = torch.tensor([[[0.29, 0.31, 0.5, 0.69, 0.71]]], dtype=torch.double)
    expected = (probabilities[:, 0] > (THRESHOLD if threshold is None else threshold)).long()
    assert torch.equal(decide_by_probability(probabilities, threshold), expected)
    clear = probabilities != 0.5
    found = decide(probabilities.logit(), threshold)
    assert torch.equal(found[clear[:, 0]], expected[clear[:, 0]])
    assert found.dtype == torch.int64


def test_logits_without_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"logits must have shape \(N, K, ...\) .* got \(5,\)"):
        decide(torch.zeros(5))
    with pytest.raises(ValueError, match=r"with K >= 1, got \(1, 0, 3\)"):
        decide_by_probability(torch.zeros(1, 0, 3))
