"""Busy and calm streets: what is in them, and that the busy ones stay what they were."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmseg_pointrend.datasets.demo_scenes import CLASSES
from mmseg_pointrend.lab.scenes import draw_scene, write_calm_scenes, write_scenes
from mmseg_pointrend.lab.scenes.canvas import Camera, Canvas, Surface
from mmseg_pointrend.lab.scenes.drawing import IGNORE
from mmseg_pointrend.lab.scenes.objects import draw_fence

SMALL = dict(num_train=1, num_val=1, size=(64, 128))


def scenes(count: int, size: tuple[int, int], street: str) -> list[tuple[np.ndarray, np.ndarray]]:
    return [draw_scene(np.random.default_rng([5, i]), size, 0.15, street) for i in range(count)]


@pytest.fixture(scope="module")
def calm() -> list[np.ndarray]:
    """Labels of calm scenes, as large as the demonstration's."""
    return [labels for _, labels in scenes(12, (256, 512), "calm")]


def boundary_share(labels: np.ndarray, width: float = 2) -> float:
    """Percent of the labelled pixels that lie within `width` pixels of another class."""
    known = labels != IGNORE
    edge = np.zeros(labels.shape, bool)
    for a, b in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        differ = (labels[a] != labels[b]) & known[a] & known[b]
        edge[a] |= differ
        edge[b] |= differ
    distance = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5)
    return 100 * np.count_nonzero((distance < width) & known) / np.count_nonzero(known)


def test_busy_scenes_are_what_they_were_before_there_were_calm_ones() -> None:
    """All ablations were made on them."""
    digest, means = hashlib.sha256(), []
    for seed, difficulty in ((0, 0.0), (1, 0.5), (2, 1.0), (3, 0.5)):
        picture, labels = draw_scene(np.random.default_rng(seed), (96, 192), difficulty)
        digest.update(labels.tobytes())
        means.append(picture.mean())
    assert digest.hexdigest() == (
        "e175ff31bae6c215602624e0346b53c7075d1cdee90e62a040bb86da41001f8a"
    )
    # Rounding differs from processor to processor.
    np.testing.assert_allclose(means, [92.5256, 125.2471, 87.9542, 102.7485], atol=0.02)


def test_calm_scenes_have_the_boundaries_of_real_pictures(calm) -> None:
    """CamVid: 8.8 %."""
    assert 8 < np.mean([boundary_share(labels) for labels in calm]) < 11
    busy = [labels for _, labels in scenes(4, (256, 512), "busy")]
    assert np.mean([boundary_share(labels) for labels in busy]) > 18


def test_every_class_occurs_in_most_calm_scenes(calm) -> None:
    for index, name in enumerate(CLASSES):
        assert np.mean([np.count_nonzero(one == index) >= 20 for one in calm]) >= 0.75, name


def test_a_larger_picture_shows_the_same_calm_street() -> None:
    (_, small), (_, large) = (scenes(1, (side, 2 * side), "calm")[0] for side in (128, 256))
    agree = (large[::2, ::2] == small) | (large[1::2, 1::2] == small)
    assert agree.mean() > 0.95


def fence_of(kind: str) -> np.ndarray:
    """Where a fence across the street is seen."""
    camera = Camera(focal=600.0, center_x=300.0, horizon=150.0, height=1.5)
    canvas = Canvas((100, 200), camera, haze=np.full(3, 200.0), visibility=300.0)
    ends = ((-3.0, 8.0), (3.0, 8.0))
    draw_fence(canvas, np.random.default_rng(0), ends, (kind,), 0.0)
    return canvas.pixels[1::3, 1::3, 3] == Surface.FENCE


def test_boards_have_no_gaps_and_bars_have() -> None:
    for kind, filled in (("boards", True), ("bars", False), ("rails", False), ("pickets", False)):
        seen = fence_of(kind)
        rows, columns = np.nonzero(seen)
        # Without the posts' rounded ends.
        inside = seen[rows.min() + 3 : rows.max() - 2, columns.min() + 3 : columns.max() - 2]
        assert inside.size > 1000 and inside.all() == filled, kind


@pytest.mark.parametrize("street", ["quiet", "", None, 3])
def test_an_unknown_street_is_named(tmp_path: Path, street) -> None:
    with pytest.raises(ValueError, match=f"street must be 'busy' or 'calm', got {street!r}"):
        draw_scene(np.random.default_rng(0), street=street)
    with pytest.raises(ValueError, match="street must be"):
        write_scenes(tmp_path / "new", **SMALL, street=street)
    assert not (tmp_path / "new").exists()


def test_a_folder_holds_scenes_of_one_street(tmp_path: Path) -> None:
    for street, other in (("busy", "calm"), ("calm", "busy")):
        write_scenes(tmp_path / street, **SMALL, street=street)
        with pytest.raises(ValueError, match=rf"street '{street}' \(asked: '{other}'\)"):
            write_scenes(tmp_path / street, **SMALL, street=other)


def test_a_folder_that_names_no_street_is_a_busy_one(tmp_path: Path) -> None:
    """It was written before there were two."""
    write_scenes(tmp_path, **SMALL)
    record = tmp_path / "scenes.json"
    stated = json.loads(record.read_text())
    assert stated.pop("street") == "busy"
    record.write_text(json.dumps(stated))
    write_scenes(tmp_path, **SMALL)
    with pytest.raises(ValueError, match="street 'busy'"):
        write_scenes(tmp_path, **SMALL, street="calm")


def test_the_demonstrations_scenes_are_calm(tmp_path: Path) -> None:
    write_calm_scenes(tmp_path, 1, 0)
    (file,) = (tmp_path / "leftImg8bit").rglob("*.png")
    picture, _ = draw_scene(np.random.default_rng([0, 0, 0]), (256, 512), 0.15, "calm")
    np.testing.assert_array_equal(cv2.imread(str(file))[..., ::-1], picture)
