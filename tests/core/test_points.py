"""Points against hand-worked values and independent references."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmseg_pointrend.core import (
    label_sample,
    mask_sample,
    pixel_centers,
    point_sample,
    regular_grid,
)
from mmseg_pointrend.core import points as core_points

SIDES = st.integers(1, 9)


def bilinear_by_hand(features: Tensor, x: float, y: float) -> Tensor:
    """Weigh the four neighbours of one point; zeros outside the map. (C, h, w) -> (C,)."""
    channels, height, width = features.shape
    column, row = x * width - 0.5, y * height - 0.5
    total = torch.zeros(channels, dtype=features.dtype)
    for i in (int(column // 1), int(column // 1) + 1):
        for j in (int(row // 1), int(row // 1) + 1):
            if 0 <= i < width and 0 <= j < height:
                total += (1 - abs(column - i)) * (1 - abs(row - j)) * features[:, j, i]
    return total


@given(SIDES, SIDES, st.integers(0, 10_000))
@settings(deadline=None, max_examples=40)
def test_point_sample_is_bilinear(height: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 3, height, width, generator=generator, dtype=torch.double)
    points = torch.rand(2, 7, 2, generator=generator, dtype=torch.double)
    got = point_sample(features, points)
    for n in range(2):
        for p in range(7):
            expected = bilinear_by_hand(features[n], *points[n, p].tolist())
            torch.testing.assert_close(got[n, :, p], expected, rtol=0, atol=1e-12)


@given(SIDES, SIDES, st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_reading_by_index_is_grid_sample(height: int, width: int, seed: int) -> None:
    """Values, and gradients of the features; also at points outside of the map, and on edges.

    One map and one channel pass for channels-last, too: `point_sample` reads those row by row.
    """
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(2, 9, 2, generator=generator, dtype=torch.double) * 2 - 0.5
    points[:, :4] = (points[:, :4] * 4).round() / 4
    given = torch.randn(2, 3, height, width, generator=generator, dtype=torch.double)
    weights = torch.randn(2, 3, 9, generator=generator, dtype=torch.double)
    results = []
    in_rows = given.contiguous(memory_format=torch.channels_last)
    for read, maps in (
        (point_sample, given),
        (core_points._sample_by_index, given),
        (point_sample, in_rows),
        (lambda maps, points: core_points.sample_rows(maps, torch.arange(2), points), given),
    ):
        features = maps.clone().requires_grad_()
        found = read(features, points)
        (found * weights).sum().backward()
        results.append((found.detach(), features.grad))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=0, atol=1e-12)


def test_points_that_are_not_finite_are_read_as_nan_or_zero() -> None:
    maps = torch.ones(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    points = torch.tensor([[[torch.nan, 0.5], [torch.inf, 0.5], [1e30, -1e30], [0.5, 0.5]]])
    found = point_sample(maps, points)
    assert found[0, 0, 2:].tolist() == [0, 1] and not (found[0, :, :2] > 0).any()


@given(SIDES, SIDES, st.integers(0, 10_000), st.sampled_from([torch.uint8, torch.bool]))
@settings(deadline=None, max_examples=40)
def test_masks_are_read_as_maps_of_floats(
    height: int, width: int, seed: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand(3, height, width, generator=generator) > 0.5
    number = torch.randint(3, (5,), generator=generator)
    points = torch.rand(5, 7, 2, generator=generator, dtype=torch.double) * 1.4 - 0.2
    expected = point_sample(masks[number, None].double(), points)[:, 0]
    found = mask_sample(masks.to(dtype), number, points)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_point_sample_at_pixel_centers_reads_the_pixels() -> None:
    features = torch.randn(2, 5, 3, 7)
    points = pixel_centers(torch.arange(21).expand(2, -1), (3, 7), torch.float32)
    torch.testing.assert_close(point_sample(features, points), features.flatten(2))


def test_point_sample_has_gradients_for_the_features() -> None:
    features = torch.randn(1, 2, 3, 4, dtype=torch.double, requires_grad=True)
    points = torch.rand(1, 5, 2, dtype=torch.double) * 0.8 + 0.1
    torch.autograd.gradcheck(lambda x: point_sample(x, points), features)


def test_half_precision_maps_are_read_in_float32() -> None:
    """A float16 coordinate could not tell neighbouring pixels of a wide map apart."""
    features = torch.arange(4096.0).expand(1, 1, 1, -1).contiguous().half()
    indices = torch.tensor([[3001]])
    points = pixel_centers(indices, (1, 4096), torch.float32)
    sampled = point_sample(features, points)
    assert sampled.dtype == torch.float32
    torch.testing.assert_close(
        sampled[0, 0], features[0, 0, 0, indices[0]].float(), rtol=1e-4, atol=0
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_half_precision_rows_are_read_as_if_the_map_were_copied(
    dtype: torch.dtype, count: int
) -> None:
    """To the bit, whether few points are read or more than the map has pixels."""
    maps = torch.randn(2, 3, 6, 9).to(dtype, memory_format=torch.channels_last)
    points = torch.rand(2, count, 2) * 1.2 - 0.1
    assert torch.equal(point_sample(maps, points), point_sample(maps.float(), points))


@given(SIDES, SIDES, st.integers(0, 10_000))
@settings(deadline=None, max_examples=40)
def test_label_sample_equals_nearest_interpolation(height: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 256, (2, height, width), generator=generator)
    points = torch.rand(2, 50, 2, generator=generator)
    expected = F.grid_sample(
        labels[:, None].float(), (2 * points - 1)[:, :, None], mode="nearest", align_corners=False
    )[:, 0, :, 0]
    assert torch.equal(label_sample(labels, points), expected.long())


def test_label_sample_keeps_the_dtype_and_clamps_the_far_edge() -> None:
    labels = torch.arange(6, dtype=torch.uint8).view(1, 2, 3)
    points = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [0.5, 0.9]]])
    sampled = label_sample(labels, points)
    assert sampled.dtype == torch.uint8
    assert sampled.tolist() == [[0, 5, 4]]


def test_pixel_centers_by_hand() -> None:
    points = pixel_centers(torch.tensor([[0, 5]]), (2, 4), torch.float64)
    assert points.tolist() == [[[0.125, 0.25], [0.375, 0.75]]]


@pytest.mark.parametrize(
    ("features", "points", "message"),
    [
        (torch.zeros(2, 3, 4), torch.zeros(2, 1, 2), r"features must have shape \(N, C, h, w\)"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(1, 1, 2), r"same N, got \(1, 1, 2\) and \(2"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 3), r"points must have shape"),
    ],
)
def test_wrong_shapes_are_named(features: Tensor, points: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        point_sample(features, points)


def test_no_regions_and_no_points() -> None:
    assert point_sample(torch.zeros(0, 3, 4, 4), torch.zeros(0, 5, 2)).shape == (0, 3, 5)
    assert point_sample(torch.zeros(2, 3, 4, 4), torch.zeros(2, 0, 2)).shape == (2, 3, 0)
    assert label_sample(torch.zeros(0, 4, 4).long(), torch.zeros(0, 5, 2)).shape == (0, 5)


# ---- a regular grid ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_points", "size", "expected"),
    [
        (4, (7, 7), [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]),
        # Rows of 1 and 2 points: floor(3 / 2) = 1 in the first.
        (3, (5, 5), [(0.5, 0.25), (0.25, 0.75), (0.75, 0.75)]),
        # sqrt(2 * 10 / 5) = 2 rows of one point; sqrt(2 * 5 / 10) = 1 row of two.
        (2, (10, 5), [(0.5, 0.25), (0.5, 0.75)]),
        (2, (5, 10), [(0.25, 0.5), (0.75, 0.5)]),
        # More rows than points, and less than a row, are wanted on thin maps.
        (2, (100, 1), [(0.5, 0.25), (0.5, 0.75)]),
        (2, (1, 100), [(0.25, 0.5), (0.75, 0.5)]),
        (1, (3, 8), [(0.5, 0.5)]),
    ],
)
def test_regular_grids_by_hand(num_points: int, size: tuple, expected: list) -> None:
    points = regular_grid(num_points, size)
    assert points.dtype == torch.float32
    torch.testing.assert_close(points, torch.tensor(expected))


@pytest.mark.parametrize(
    ("num_points", "size", "grid"),
    [(196, (7, 7), (14, 14)), (2048, (128, 256), (32, 64)), (1024, (128, 128), (32, 32))],
)
def test_the_papers_numbers_are_pixel_centres(num_points: int, size: tuple, grid: tuple) -> None:
    expected = pixel_centers(torch.arange(num_points)[None], grid, torch.double)[0]
    torch.testing.assert_close(regular_grid(num_points, size, torch.double), expected)


@pytest.mark.parametrize(("num_points", "size"), [(0, (4, 4)), (-3, (4, 4)), (9, (0, 4))])
def test_no_grid_without_points_or_pixels(num_points: int, size: tuple) -> None:
    with pytest.raises(ValueError, match=rf"must be >= 1, got {num_points} and \({size[0]}, 4\)"):
        regular_grid(num_points, size)


@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 60))
@settings(deadline=None, max_examples=100)
def test_rows_of_a_regular_grid_are_even(num_points: int, height: int, width: int) -> None:
    points = regular_grid(num_points, (height, width), torch.double)
    assert points.shape == (num_points, 2)
    assert ((points > 0) & (points < 1)).all()
    heights, counts = points[:, 1].unique(return_counts=True)
    rows = len(heights)
    torch.testing.assert_close(heights, (torch.arange(rows, dtype=torch.double) + 0.5) / rows)
    assert counts.max() - counts.min() <= 1
    for row, count in zip(points.split(counts.tolist()), counts.tolist(), strict=True):
        assert (row[:, 1] == row[0, 1]).all()
        expected = (torch.arange(count, dtype=torch.double) + 0.5) / count
        torch.testing.assert_close(row[:, 0], expected)
    # As far apart downwards as to the right, unless the map is too thin for a second row or column.
    if 1 < rows < num_points:
        down, across = height / rows, width * rows / num_points
        assert 0.4 < down / across < 2.5
