"""The CRF: what it is given, and what is said where it is not installed."""

import sys

import pytest
import torch

from mmseg_pointrend.lab.alternatives.dense_crf import CrfSettings, dense_crf, why_missing

MISSING = why_missing()


def test_without_the_package_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    assert why_missing().startswith("pip install pydensecrf2 (")


@pytest.mark.skipif(MISSING is not None, reason=f"no dense CRF: {MISSING}")
@pytest.mark.parametrize("classes", [1, 2])
def test_an_edge_moves_to_where_the_picture_has_it(classes: int) -> None:
    """The coarse edge is 3 px off; with one logit as with two classes."""
    height, width = 23, 31
    picture = torch.zeros(1, 3, height, width)
    picture[..., 15:] = 1
    right = torch.full((1, 1, height, width), 0.3)
    right[..., 18:] = 0.7
    probabilities = right if classes == 1 else torch.cat([1 - right, right], 1)
    found = dense_crf(picture, probabilities, CrfSettings())
    assert found.shape == probabilities.shape
    edge = torch.arange(width) >= 15
    assert ((found[0, -1] > 0.5) == edge).all()
    without = dense_crf(picture, probabilities, CrfSettings(iterations=0))
    torch.testing.assert_close(without, probabilities)
