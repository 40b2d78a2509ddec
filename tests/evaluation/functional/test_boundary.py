"""Bands and distances against slow, obvious references."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor

from mmseg_pointrend.evaluation.functional import (
    boundary_pixels,
    inner_boundary,
    resolve_distance,
    squared_distances,
    trimap,
    trimaps,
)


def trimap_slowly(labels: Tensor, width: int) -> Tensor:
    """(H, W) -> (H, W): try every pair of pixels."""
    rows = labels.tolist()
    height, columns = labels.shape
    edges = []
    for y in range(height):
        for x in range(columns):
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= v < height and 0 <= u < columns
                if inside and rows[v][u] != rows[y][x] and 255 not in (rows[v][u], rows[y][x]):
                    edges.append((y, x))
    band = [
        [
            label != 255 and any((y - v) ** 2 + (x - u) ** 2 <= (width - 1) ** 2 for v, u in edges)
            for x, label in enumerate(row)
        ]
        for y, row in enumerate(rows)
    ]
    return torch.tensor(band)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_trimap_is_the_band_of_that_width(height, width, band, seed) -> None:
    labels = blocks(height, width, seed)
    expected = torch.stack([trimap_slowly(item, band) for item in labels])
    assert torch.equal(trimap(labels, band), expected)


def test_boundary_pixels_by_hand() -> None:
    labels = torch.tensor([[[0, 0, 1, 255, 2, 2, 3]]])
    assert boundary_pixels(labels).int().tolist() == [[[0, 1, 1, 0, 0, 1, 1]]]


@pytest.mark.parametrize("wrong", [0, -1, 8.0, True])
def test_trimap_refuses_what_is_no_width(wrong) -> None:
    with pytest.raises(ValueError, match=f"width must be an integer >= 1 .*, got {wrong}"):
        trimap(torch.zeros(1, 3, 3).long(), wrong)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 60), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_squared_distances_are_exact_up_to_the_limit(height, width, limit, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    marked = torch.rand(2, height, width, generator=generator) < 0.01
    found = squared_distances(marked, limit)
    for item, distances in zip(marked, found, strict=True):
        if not item.any():
            assert (distances > limit**2).all()
            continue
        expected = torch.from_numpy(distance_transform_edt(~item.numpy()) ** 2).round().long()
        near = expected <= limit**2
        assert torch.equal(distances[near].long(), expected[near])
        assert (distances[~near] > limit**2).all()


@pytest.mark.parametrize("limit", [126, 127, 200])
def test_long_distances_do_not_overflow(limit) -> None:
    marked = torch.zeros(1, 300, 310, dtype=torch.bool)
    marked[0, 0, 0] = True
    found = squared_distances(marked, limit)[0].long()
    expected = torch.arange(300)[:, None] ** 2 + torch.arange(310) ** 2
    assert torch.equal(found <= limit**2, expected <= limit**2)
    assert torch.equal(found[expected <= limit**2], expected[expected <= limit**2])
    with pytest.raises(ValueError, match="limit must be >= 0 .*, got -1"):
        squared_distances(marked, -1)


def test_strips_of_a_large_map_join(monkeypatch) -> None:
    labels = blocks(41, 60, seed=1, size=13)
    edges = boundary_pixels(labels)
    expected, contours = squared_distances(edges, 9), inner_boundary(labels, 5)
    for pixels in (1, 2 * 60 * 7, 2 * 60 * 40):
        monkeypatch.setattr("mmseg_pointrend.evaluation.functional.distance._STRIP", pixels)
        assert torch.equal(squared_distances(edges, 9), expected)
        assert torch.equal(inner_boundary(labels, 5), contours)


def blocks(height: int, width: int, seed: int, size: int = 3) -> Tensor:
    """Two label maps of random blocks, some of them void."""
    generator = torch.Generator().manual_seed(seed)
    choices = torch.tensor([0, 0, 0, 0, 1, 2, 255])
    rows, columns = -(-height // size), -(-width // size)
    labels = choices[torch.randint(0, 7, (2, rows, columns), generator=generator)]
    return labels.repeat_interleave(size, 1).repeat_interleave(size, 2)[:, :height, :width]


@pytest.mark.parametrize("width", [8, 20])
def test_the_papers_widths(width) -> None:
    """Table 8, on maps with boundaries far apart and void, against exact distances."""
    labels = blocks(97, 131, seed=width, size=40)
    for item, band in zip(labels, trimap(labels, width), strict=True):
        edges = boundary_pixels(item[None])[0].numpy()
        expected = (distance_transform_edt(~edges) <= width - 1) & (item != 255).numpy()
        assert np.array_equal(band.numpy(), expected)
        assert 0.1 < expected.mean() < 0.9


def test_trimaps_of_several_widths_are_those_of_each() -> None:
    labels = blocks(31, 45, seed=0, size=9)
    widths = (4, 1, 20, 2)
    for width, band in zip(widths, trimaps(labels, widths), strict=True):
        assert torch.equal(band, trimap(labels, width))
    assert trimaps(labels, ()) == []


def inner_boundary_slowly(labels: Tensor, distance: int, void: int) -> Tensor:
    """(H, W) -> (H, W): try every pixel of the square, those outside of the picture too."""
    rows = labels.tolist()
    height, width = labels.shape
    marked = torch.zeros(height, width, dtype=torch.bool)
    for y in range(height):
        for x in range(width):
            if rows[y][x] == void:
                continue
            marked[y, x] = any(
                not (0 <= v < height and 0 <= u < width) or rows[v][u] not in (void, rows[y][x])
                for v in range(y - distance, y + distance + 1)
                for u in range(x - distance, x + distance + 1)
            )
    return marked


@given(st.integers(1, 13), st.integers(1, 13), st.integers(1, 4), st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_inner_boundary_tries_every_neighbour(height, width, distance, seed) -> None:
    labels = blocks(height, width, seed)
    for void in (255, 0):
        expected = torch.stack([inner_boundary_slowly(item, distance, void) for item in labels])
        assert torch.equal(inner_boundary(labels, distance, void), expected)
    negative = labels.masked_fill(labels == 255, -1)
    assert torch.equal(inner_boundary(negative, distance, -1), inner_boundary(labels, distance))


@pytest.mark.parametrize("distance", [1, 3, 0.02, 0.1, 500])
def test_without_void_it_is_the_mask_minus_its_erosion(distance) -> None:
    """As the authors' code has it: eroded d times by 3 x 3 pixels, zeros around the picture."""
    labels = blocks(67, 101, seed=3, size=17) % 255
    found = inner_boundary(labels, distance)
    diagonal = (67**2 + 101**2) ** 0.5
    steps = distance if isinstance(distance, int) else round(distance * diagonal)
    for item, marked in zip(labels.numpy(), found.numpy(), strict=True):
        for label in range(3):
            mask = item == label
            eroded = binary_erosion(mask, np.ones((3, 3)), iterations=steps)
            assert np.array_equal(marked & mask, mask & ~eroded)


@pytest.mark.parametrize("size", [(1, 7000), (7000, 1), (2, 5000), (1, 1), (3, 3)])
@pytest.mark.parametrize("distance", [6000, 0.99, 2])
def test_a_distance_as_far_as_the_edge_marks_everything(size, distance) -> None:
    """At once, too: a margin of 6000 pixels around a row of pixels would take gigabytes."""
    labels = torch.zeros(1, *size, dtype=torch.int64)
    assert inner_boundary(labels, distance).all()
    labels[:, 0, 0] = 255
    assert inner_boundary(labels, distance).sum() == labels.numel() - 1


def test_inner_boundary_by_hand() -> None:
    labels = torch.tensor(
        [
            [0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 255, 255, 1, 1],
            [0, 0, 0, 255, 255, 1, 1],
            [0, 0, 0, 255, 255, 1, 1],
            [0, 0, 0, 0, 0, 0, 0],
        ]
    )
    # Next to void a pixel is marked only if the edge or the other class is near as well.
    expected = [
        [1, 1, 1, 1, 1, 1, 1],
        [1, 0, 0, 0, 1, 1, 1],
        [1, 0, 0, 0, 0, 1, 1],
        [1, 0, 0, 0, 0, 0, 1],
        [1, 0, 0, 0, 0, 1, 1],
        [1, 1, 1, 1, 1, 1, 1],
    ]
    assert inner_boundary(labels[None], 1)[0].int().tolist() == expected


def test_distances_in_pixels_and_of_the_diagonal() -> None:
    assert resolve_distance(7, (3, 4)) == 7
    assert resolve_distance(0.02, (1024, 2048)) == 46  # 45.8
    assert resolve_distance(0.02, (30, 40)) == 1
    assert resolve_distance(0.001, (30, 40)) == 1  # at least one pixel
    for wrong in (0, -1, 0.0, 1.0, 2.5, True, "3"):
        with pytest.raises(ValueError, match="distance must be an integer >= 1 .*, got"):
            resolve_distance(wrong, (30, 40))


@pytest.mark.parametrize(
    ("measure", "name"),
    [
        (boundary_pixels, "labels"),
        (lambda labels: trimap(labels, 2), "labels"),
        (lambda labels: trimaps(labels, [1, 3]), "labels"),
        (lambda labels: inner_boundary(labels, 2), "labels"),
        (lambda labels: squared_distances(labels > 0, 2), "marked"),
    ],
)
def test_a_map_without_images_is_named(measure, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} must have shape \(N, H, W\), got \(5, 7\)"):
        measure(torch.zeros(5, 7, dtype=torch.uint8))
