"""The steps side by side."""

import numpy as np
import pytest

from mmseg_pointrend.pages import draw_steps
from mmseg_pointrend.pages.step_picture import CHANGED, POINT, RIGHT, WRONG
from tests.pages.builders import rendering


def count(image: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((image == color).all(-1).sum())


def test_what_became_right_and_wrong_is_seen() -> None:
    """Tiles ten times as large: a pixel is a square of 100."""
    image = draw_steps(rendering(), tile_width=60)
    assert image.dtype == np.uint8 and image.shape[2] == 3
    # Step 1 has one each, step 2 three that became right; (3, 3), which nobody knows, changed once.
    assert (count(image, RIGHT), count(image, WRONG)) == (400, 100)
    # As are points, which are dots of four.
    assert count(image, CHANGED) == 100 + 4 * 5
    assert CHANGED == POINT


def test_without_a_truth() -> None:
    image = draw_steps(rendering(with_truth=False), tile_width=60)
    assert count(image, RIGHT) == count(image, WRONG) == 0
    assert count(image, CHANGED) == 100 * 6 + 4 * 5


def test_a_tile_of_one_pixel() -> None:
    assert draw_steps(rendering(), tile_width=1).shape[1] > 4
    with pytest.raises(ValueError, match="tile_width must be >= 1 pixel, got 0"):
        draw_steps(rendering(), tile_width=0)
