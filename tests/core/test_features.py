"""Point-wise features of images and of regions, against reading one region at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmseg_pointrend.core import PointFeatures, Regions, point_sample


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def random_regions(images: list[int], seed: int = 0) -> Regions:
    """Boxes of any real sides, some beyond the image."""
    corners = 1.2 * random(len(images), 2, seed=seed) - 0.2
    boxes = torch.cat([corners, corners + random(len(images), 2, seed=seed + 1) + 0.01], dim=1)
    return Regions(boxes, torch.tensor(images, dtype=torch.int64))


@given(
    num_images=st.integers(1, 3),
    chosen=st.lists(st.integers(0, 2), max_size=6),
    num_points=st.integers(0, 7),
    num_maps=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=100)
def test_regions_read_the_maps_of_their_images(
    num_images, chosen, num_points, num_maps, seed
) -> None:
    images = [number % num_images for number in chosen]
    regions = random_regions(images, seed)
    maps = [random(num_images, 3 + i, 9 - i, 5 + i, seed=seed + 2 + i) for i in range(num_maps)]
    coarse = random(len(images), 4, 7, 7, seed=seed + 5)
    points = random(len(images), num_points, 2, seed=seed + 6)

    fine, at_coarse = PointFeatures(maps, coarse, regions)(points)
    assert fine.shape == (len(images), sum(m.shape[1] for m in maps), num_points)
    torch.testing.assert_close(at_coarse, point_sample(coarse, points))
    for r, image in enumerate(images):
        left, top, right, bottom = regions.boxes[r].tolist()
        x, y = points[r].unbind(1)
        moved = torch.stack([left + x * (right - left), top + y * (bottom - top)], dim=1)[None]
        expected = torch.cat([point_sample(m[image : image + 1], moved) for m in maps], dim=1)
        torch.testing.assert_close(fine[r : r + 1], expected, rtol=0, atol=1e-12)

    order = sorted(range(len(images)), key=images.__getitem__)
    counts = [images.count(image) for image in range(num_images)]
    known = Regions(regions.boxes[order], regions.images[order], counts)
    found, _ = PointFeatures(maps, coarse[order], known)(points[order])
    torch.testing.assert_close(found, fine[order], rtol=0, atol=1e-12)


def test_points_of_a_region_are_points_of_its_image_and_back() -> None:
    regions = random_regions([0, 1, 1, 0])
    points = random(4, 20, 2, seed=9)
    torch.testing.assert_close(regions.from_image(regions.to_image(points)), points)
    corners = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]]).double().expand(4, -1, -1)
    torch.testing.assert_close(regions.to_image(corners).flatten(1), regions.boxes)


def test_a_box_in_pixels_by_hand() -> None:
    """A map of stride 4 under a 16 x 24 image; the box's centre is the image's point (12, 4)."""
    features = torch.arange(24.0).view(1, 1, 4, 6)
    box = torch.tensor([[8.0, 0.0, 16.0, 8.0]])
    regions = Regions.from_pixels(box, torch.tensor([0]), size=(16, 24))
    found = regions.point_sample(features, torch.tensor([[[0.5, 0.5], [0.25, 0.25]]]))
    # (12, 4) lies between the pixels 2, 3 and 8, 9 of the map; (10, 2) on pixel 2.
    assert found.flatten().tolist() == [5.5, 2.0]


def test_whole_images_are_read_as_they_are() -> None:
    maps, coarse, points = random(2, 3, 8, 9), random(2, 4, 4, 4), random(2, 11, 2)
    fine, at_coarse = PointFeatures([maps], coarse)(points)
    assert torch.equal(fine, point_sample(maps, points))
    assert torch.equal(at_coarse, point_sample(coarse, points))


@pytest.mark.parametrize("num_images", [1, 3])
def test_the_order_of_memory_changes_nothing(num_images: int) -> None:
    maps, points = random(num_images, 5, 8, 9), random(6, 11, 2) * 1.2 - 0.1
    regions = random_regions([r % num_images for r in range(6)])
    found = regions.point_sample(maps.contiguous(memory_format=torch.channels_last), points)
    torch.testing.assert_close(found, regions.point_sample(maps, points), rtol=0, atol=1e-12)


def test_maps_that_cover_different_parts_have_regions_of_their_own() -> None:
    maps, coarse, points = random(1, 3, 8, 8), random(2, 4, 4, 4), random(2, 11, 2)
    first, second = random_regions([0, 0]), random_regions([0, 0])
    fine, _ = PointFeatures([maps, maps], coarse, [first, second])(points)
    expected = [regions.point_sample(maps, points) for regions in (first, second)]
    assert torch.equal(fine, torch.cat(expected, dim=1))


def test_gradients_reach_the_maps() -> None:
    maps = random(2, 3, 8, 9).requires_grad_()
    coarse = random(3, 4, 7, 7).requires_grad_()
    fine, at_coarse = PointFeatures([maps], coarse, random_regions([1, 0, 1]))(random(3, 9, 2))
    (fine.sum() + at_coarse.sum()).backward()
    assert maps.grad.abs().sum() > 0 and coarse.grad.abs().sum() > 0


@pytest.mark.parametrize("num_images", [1, 2])
def test_channels_of_joined_maps_lie_side_by_side_if_those_of_one_do(num_images: int) -> None:
    one, other = random(num_images, 3, 8, 9), random(num_images, 5, 4, 7)
    coarse, points = random(num_images, 2, 4, 4), random(num_images, 11, 2)
    expected, _ = PointFeatures([one, other], coarse)(points)
    assert expected.is_contiguous()
    in_rows = one.contiguous(memory_format=torch.channels_last)
    for maps, order in [([in_rows, other], [0, 1]), ([other, in_rows], [1, 0])]:
        found, _ = PointFeatures(maps, coarse)(points)
        assert found.transpose(1, 2).is_contiguous()
        parts = found.split([maps[0].shape[1], maps[1].shape[1]], dim=1)
        joined = torch.cat([parts[number] for number in order], dim=1)
        torch.testing.assert_close(joined, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_images", [1, 3])
def test_no_map_is_copied_for_a_box(num_images: int) -> None:
    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor):
                self.numel = max(self.numel, result.numel())
            return result

    maps = torch.zeros(num_images, 8, 64, 64)
    regions = random_regions([r % num_images for r in range(50)])
    regions = Regions(regions.boxes.float(), regions.images)
    with Largest() as largest:
        regions.point_sample(maps, random(50, 4, 2).float())
    assert largest.numel <= maps.numel()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Regions(torch.zeros(3), torch.zeros(3)), r"boxes must have shape \(R, 4\)"),
        (
            lambda: Regions(torch.zeros(3, 4), torch.zeros(2).long()),
            r"boxes and images must have the same N, got \(3, 4\) and \(2,\)",
        ),
        (
            lambda: random_regions([0, 2]).point_sample(torch.zeros(2, 1, 4, 4), random(2, 1, 2)),
            r"must lie in \[0, 2\), got 2",
        ),
        (
            lambda: random_regions([1]).point_sample(torch.zeros(1, 1, 4, 4), random(1, 1, 2)),
            "images must be 0 for features of one image",
        ),
        (
            lambda: random_regions([0, 0]).to_image(torch.zeros(3, 1, 2)),
            "points and boxes must have the same N",
        ),
        (
            lambda: random_regions([0, 2]).point_sample(
                torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
                random(2, 1, 2),
            ),
            r"images must be in \[0, 2\), got",
        ),
        (
            lambda: Regions(torch.zeros(2, 4), torch.zeros(2).long(), [1, 0]),
            r"counts must add up to 2 boxes, got \[1, 0\]",
        ),
        (
            lambda: Regions(torch.zeros(2, 4), torch.zeros(2).long(), [2]).point_sample(
                torch.zeros(2, 1, 4, 4), random(2, 1, 2)
            ),
            "features of 2 images, counts of 1",
        ),
        (lambda: PointFeatures([], torch.zeros(1, 2, 3, 3)), "at least one fine-grained feature"),
        (
            lambda: PointFeatures(
                [torch.zeros(1, 2, 3, 3)] * 2, torch.zeros(1, 2, 3, 3), [random_regions([0])]
            ),
            "regions must be as many as fine_maps, 2, or one for all, got 1",
        ),
    ],
)
def test_mistakes_are_named(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
