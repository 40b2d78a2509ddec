"""Steps: what they do to maps, and their taps."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmseg_pointrend.core import (
    Crop,
    Flip,
    Place,
    Resize,
    mixes_pixels,
    warp_map,
    warp_points,
    warp_size,
    warp_taps,
)


@st.composite
def steps(draw, size: tuple[int, int], regions: int) -> list:
    """Several resizes after each other, crops, flips, and boxes placed."""
    found, (height, width) = [], size
    for kind in draw(
        st.lists(st.sampled_from("crop flip resize resize place".split()), max_size=5)
    ):
        if kind == "flip":
            found.append(Flip(draw(st.sampled_from(["horizontal", "vertical"]))))
        elif kind == "crop":
            top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
            height, width = draw(st.integers(1, height - top)), draw(st.integers(1, width - left))
            found.append(Crop(top, left, height, width))
        elif kind == "place":
            generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
            count = draw(st.sampled_from([1, regions]))
            corners = 30 * torch.rand(count, 2, generator=generator, dtype=torch.double) - 8
            sides = 30 * torch.rand(count, 2, generator=generator, dtype=torch.double) + 0.2
            height, width = draw(st.integers(1, 25)), draw(st.integers(1, 25))
            found.append(Place(torch.cat([corners, corners + sides], dim=1), height, width))
        else:
            height, width = draw(st.integers(1, 25)), draw(st.integers(1, 25))
            found.append(Resize(height, width, align_corners=draw(st.booleans())))
    return found


@given(data=st.data())
@settings(deadline=None, max_examples=200)
def test_taps_compose_what_the_steps_do_one_after_the_other(data: st.DataObject) -> None:
    draw = data.draw
    regions = draw(st.integers(1, 3))
    size = draw(st.one_of(
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        st.tuples(st.just(1), st.integers(1, 30)),
        st.tuples(st.integers(1, 30), st.just(1)),
    ))  # fmt: skip
    warp = draw(steps(size, regions))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    maps = torch.randn(regions, 2, *size, generator=generator, dtype=torch.double)
    expected = warp_map(maps, warp)
    assert tuple(expected.shape[2:]) == warp_size(size, warp)

    rows, columns = warp_taps(warp, size, torch.double)
    for taps, length in ((rows, size[0]), (columns, size[1])):
        assert (taps.weights >= 0).all()
        assert (taps.weights.sum(2) <= 1 + 1e-12).all()
        assert (taps.start >= 0).all()
        assert (taps.start + taps.weights.shape[2] <= length).all()
    torch.testing.assert_close(apply_taps(maps, rows, columns), expected, rtol=0, atol=1e-10)
    if not mixes_pixels(warp, size):
        assert rows.weights.shape[2] == columns.weights.shape[2] == 1


def apply_taps(maps: Tensor, rows, columns) -> Tensor:
    """Sum source pixels with their weights, along x and then along y."""
    for taps, dim in ((columns, 3), (rows, 2)):
        total = 0
        for t in range(taps.weights.shape[2]):
            shape = (len(maps), 1, *(1 if d != dim else taps.start.shape[1] for d in (2, 3)))
            index = (taps.start + t).expand(len(maps), -1).view(shape)
            across = list(maps.shape)
            across[dim] = index.shape[dim]
            weight = taps.weights[:, :, t].expand(len(maps), -1).reshape(shape)
            total = total + maps.gather(dim, index.expand(across)) * weight
        maps = total
    return maps


def test_a_placed_box_equals_detectron2s_way_of_pasting() -> None:
    """Masks are read at ((i + 0.5) - x0) / (x1 - x0), scaled to [-1, 1], zeros around them."""
    masks = torch.rand(4, 1, 28, 28, dtype=torch.double)
    boxes = torch.tensor(
        [[3.2, 4.7, 40.1, 29.3], [-5.5, -3.0, 11.25, 50.0], [10, 10, 10.7, 12], [0, 0, 64, 48]],
        dtype=torch.double,
    )
    height, width = 48, 64
    placed = Place(boxes, height, width).apply(masks)
    for mask, box, found in zip(masks, boxes, placed, strict=True):
        x0, y0, x1, y1 = box.tolist()
        y = (torch.arange(height, dtype=torch.double) + 0.5 - y0) / (y1 - y0) * 2 - 1
        x = (torch.arange(width, dtype=torch.double) + 0.5 - x0) / (x1 - x0) * 2 - 1
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=2)
        expected = F.grid_sample(mask[None], grid[None], align_corners=False)
        torch.testing.assert_close(found, expected[0], rtol=0, atol=1e-12)


def test_a_box_at_whole_pixels_is_put_there_unchanged() -> None:
    values = torch.randn(1, 3, 4, 5)
    placed = Place(torch.tensor([[2.0, 1.0, 7.0, 5.0]]), 8, 9).apply(values)
    expected = F.pad(values, (2, 2, 1, 3))
    torch.testing.assert_close(placed, expected)


def test_align_corners_is_torchs() -> None:
    values = torch.randn(1, 2, 5, 7)
    expected = F.interpolate(values, (9, 3), mode="bilinear", align_corners=True)
    assert torch.equal(Resize(9, 3, align_corners=True).apply(values), expected)


def test_no_regions() -> None:
    place = Place(torch.zeros(0, 4), 6, 7)
    assert place.apply(torch.zeros(0, 2, 4, 4)).shape == (0, 2, 6, 7)
    rows, columns = warp_taps([place, Resize(3, 5)], (4, 4), torch.float32)
    assert (rows.start.shape, columns.start.shape) == ((0, 3), (0, 5))


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"boxes must have shape \(R, 4\), got \(4,\)"):
        Place(torch.zeros(4), 3, 3)
    with pytest.raises(ValueError, match="values and boxes must have the same N, got"):
        Place(torch.zeros(2, 4), 3, 3).apply(torch.zeros(3, 1, 2, 2))
    with pytest.raises(ValueError, match="flip_direction must be .* got 'diagonal'"):
        Flip("diagonal")
    with pytest.raises(ValueError, match=r"values must have shape \(N, C, H, W\), got \(3, 3\)"):
        warp_map(torch.zeros(3, 3), [])


@pytest.mark.parametrize(
    "warp",
    [
        [],
        [Resize(13, 8)],
        [Resize(9, 5, align_corners=True)],
        [Crop(2, 1, 5, 6)],
        [Flip("horizontal"), Crop(1, 0, 6, 7), Flip("vertical")],
        [Resize(14, 22), Crop(0, 3, 11, 17), Flip("horizontal"), Resize(5, 9)],
        [Place(torch.tensor([[2.0, 1.5, 17.0, 9.5]], dtype=torch.double), 12, 19)],
        [Place(torch.tensor([[-3.0, 1.0, 9.0, 8.0]], dtype=torch.double), 8, 10), Crop(1, 2, 6, 6)],
    ],
    ids=lambda warp: "-".join(type(step).__name__ for step in warp) or "nothing",
)
def test_points_are_where_their_pixels_are(warp: list) -> None:
    """Maps of the pixels' own coordinates are warped: what stands at a place came from there."""
    size = (7, 11)
    y, x = ((torch.arange(side, dtype=torch.double) + 0.5) / side for side in size)
    coordinates = torch.stack([x.expand(size), y[:, None].expand(size), torch.ones(size).double()])
    found_x, found_y, covered = warp_map(coordinates[None], warp)[0]
    height, width = found_x.shape
    assert (height, width) == warp_size(size, warp)
    # Beyond the outermost pixels' centres maps are constant, or fade; two resizes mix that in.
    inside = (found_x > x[1]) & (found_x < x[-2]) & (found_y > y[1]) & (found_y < y[-2])
    inside &= covered > 0.999
    assert inside.sum() > 9
    points = torch.stack([found_x[inside], found_y[inside]], dim=1)
    rows, columns = inside.nonzero().unbind(1)
    expected = torch.stack([(columns + 0.5) / width, (rows + 0.5) / height], dim=1)
    moved = warp_points(points[None], size, warp)[0]
    assert torch.allclose(moved, expected.double(), atol=1e-9)


def test_points_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"points must have shape \(\.\.\., 2\), got \(4, 3\)"):
        warp_points(torch.zeros(4, 3), (2, 2), [])
