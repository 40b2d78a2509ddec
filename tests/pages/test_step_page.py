"""The page holds what was rendered, to the bit, and nothing that it would fetch."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmseg_pointrend.pages import step_page, write_step_page
from tests.pages.builders import CLASSES, TRUTH, rendering

HOSTILE = "a</script><img src=x>&{{data}}{{title}}"


def data_of(page: str) -> dict:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found)


def image_of(url: str) -> np.ndarray:
    """Red first."""
    head, data = url.split(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[
        ..., ::-1
    ]


def test_the_maps_of_every_step(tmp_path: Path) -> None:
    picture = rendering()
    write_step_page(picture, tmp_path / "new" / "page.html")
    data = data_of((tmp_path / "new" / "page.html").read_text("utf-8"))
    assert (data["width"], data["height"], data["classes"]) == (6, 4, list(CLASSES))
    truth = image_of(data["truth"])
    assert np.array_equal(truth[..., 1] == 255, TRUTH != 255)
    assert np.array_equal(truth[..., 0], np.where(TRUTH == 255, 0, TRUTH))
    for written, step, numbers in zip(data["steps"], picture.steps, picture.numbers(), strict=True):
        maps = image_of(written["maps"])
        margin = np.full((4, 6), 59)  # percent: (200 - 50) / 255
        for channel, expected in enumerate((step.labels, step.runner_up, margin)):
            assert np.array_equal(maps[..., channel], expected)
        points = np.frombuffer(base64.b64decode(written["points"]), "<f4").reshape(-1, 2)
        assert np.array_equal(points, step.points)
        assert written["changed"] == numbers.changed
        assert written["mean_iou"] == pytest.approx(numbers.mean_iou, abs=1e-6)


def test_it_fetches_nothing(tmp_path: Path) -> None:
    write_step_page(rendering(), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert not re.search(r"""(?:src|href)=|url\(|@import|https?:|fetch\(|import\(""", page)


def test_names_are_text(tmp_path: Path) -> None:
    """Whatever a picture or a class is called, it stays what it is."""
    picture = replace(rendering(HOSTILE), classes=("a", HOSTILE, "c"))
    write_step_page(picture, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<img" not in page and page.count("</script>") == 2
    data = data_of(page)
    assert data["name"] == data["classes"][1] == HOSTILE


def test_what_a_page_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = rendering()
    many = [str(number) for number in range(257)]
    with pytest.raises(ValueError, match="at most 256 classes, street has 257"):
        write_step_page(
            replace(picture, classes=many, palette=[(0, 0, 0)] * 257), tmp_path / "page.html"
        )
    monkeypatch.setattr(step_page, "MOST_PIXELS", 20)
    with pytest.raises(ValueError, match="street has 4x6 pixels, and a page shows at most 20"):
        write_step_page(picture, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
