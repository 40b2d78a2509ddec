"""The picture of a rendered label map: the window that is enlarged, and what is drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_pointrend.lab.figures.label_maps import _accuracy, _draw, _zoom_window

HEIGHT, WIDTH = 40, 84
PALETTE = [[255, 0, 0], [0, 200, 0]]


@pytest.fixture
def trace() -> dict:
    """A bar of class 1 that the coarse map does not have, the rendered one has but for a row."""
    truth = torch.zeros(HEIGHT, WIDTH, dtype=torch.long)
    truth[25:33, 60:66] = 1
    rendered = truth.clone()
    rendered[28] = 0
    coarse = torch.zeros_like(truth)
    coarse[2, 2] = 1
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    points = [torch.tensor([[62.5, 28.5]]), torch.tensor([[61.5, 26.5], [64.5, 30.5]])]
    return dict(image=image, truth=truth, coarse=coarse, rendered=rendered, points=points)


def test_the_window_is_where_most_pixels_become_right(trace: dict) -> None:
    top, left, height, width = _zoom_window(trace)
    assert (height, width) == (10, 21)
    assert top <= 25 and top + height >= 32 and left <= 60 and left + width >= 66


def test_a_pixel_of_a_rare_class_counts_more(trace: dict) -> None:
    """A larger gain of the common class at the other end of the picture is not what is shown."""
    trace["coarse"][2:12, 2:10] = 1
    top, left, height, width = _zoom_window(trace)
    assert left <= 60 and left + width >= 66 and top + height >= 32


def test_the_share_near_boundaries_by_hand(trace: dict) -> None:
    """Pixels not farther than 2 from the bar's border: all of it but its core, and a frame."""
    truth = trace["truth"].numpy()
    distance = np.full(truth.shape, np.inf)
    for y, x in np.ndindex(truth.shape):
        others = np.argwhere(truth != truth[y, x])
        distance[y, x] = np.hypot(*(others - [y, x]).T).min()
    band = distance <= 2
    wrong = truth != trace["rendered"].numpy()
    assert _accuracy(trace, "rendered") == pytest.approx(100 * (1 - wrong[band].mean()), abs=1.0)
    assert _accuracy(trace, "coarse") < _accuracy(trace, "rendered") < 100


def test_the_drawing_has_labels_and_points(trace: dict, tmp_path: Path) -> None:
    _draw(trace, PALETTE, tmp_path / "new/picture.png")
    drawn = np.array(Image.open(tmp_path / "new/picture.png").convert("RGB"))
    assert drawn.shape[1] == 1665 and 600 < drawn.shape[0] < 1000
    # Two rows of three panels: pixels of class 1 where truth, coarse and rendered labels are.
    height, width = (side / cells for side, cells in zip(drawn.shape, (2, 3), strict=False))
    green = (drawn == PALETTE[1]).all(-1)
    cells = [
        green[round(row * height) : round((row + 1) * height),
              round(column * width) : round((column + 1) * width)].sum()
        for row in range(2) for column in range(3)
    ]  # fmt: skip
    picture, points, truth, whole, coarse, rendered = cells
    assert picture == points == coarse == 0
    assert truth > rendered > whole > 0
    assert rendered / truth == pytest.approx(7 / 8, abs=0.02)
    # Points are discs in the second panel alone.
    pink = (drawn == [255, 47, 208]).all(-1)
    assert pink[:, round(width) : round(2 * width)].sum() == pink.sum() > 50
