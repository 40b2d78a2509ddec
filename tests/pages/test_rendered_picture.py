"""What each step did, counted."""

from dataclasses import replace

import numpy as np
import pytest

from tests.pages.builders import TRUTH, rendering


def test_what_steps_do_by_hand() -> None:
    coarse, first, second = rendering().numbers()
    assert coarse[:4] == (0, 0, 0, 0)
    # Of 22 known pixels the coarse map has those of the pole wrong.
    assert coarse.right == pytest.approx(19 / 22)
    assert first[:4] == (3, 3, 1, 1)
    assert first.right == pytest.approx(19 / 22)
    # (1, 3) goes back, and the rest of the pole appears.
    assert second[:4] == (2, 3, 3, 0)
    assert second.right == second.right_near == second.mean_iou == 1


def test_without_a_truth_nothing_is_right_or_wrong() -> None:
    for numbers in rendering(with_truth=False).numbers():
        assert numbers[2:] == (None,) * 5


def test_nothing_known() -> None:
    picture = replace(rendering(), truth=np.full_like(TRUTH, 255))
    last = picture.numbers()[-1]
    assert last.changed == 3 and last.corrected == last.spoiled == 0
    assert last.right is last.right_near is last.mean_iou is None


def test_an_ignored_label_among_the_classes() -> None:
    """Void may have any number; there the labels of that class count as unknown."""
    picture = replace(rendering(), ignore_index=1, truth=np.where(TRUTH == 255, 0, TRUTH))
    assert picture.known.sum() == 21


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(steps=[]), "steps must be the coarse prediction"),
        (dict(classes=("road",)), "1 names and 3 colours"),
        (dict(truth=np.zeros((3, 6), np.uint8)), r"truth of street: .*\(4, 6\), got \(3, 6\)"),
        (dict(truth=np.full((4, 6), 7)), "labels must be below 3, or 255 for unknown, got 7"),
        (dict(pixels=np.zeros((5, 6, 3), np.uint8)), "labels of a step of street"),
    ],
)
def test_what_does_not_fit(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(rendering(), **change)
