"""Neighbourhoods read at points, against torch's unfold and convolution of the whole map."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmseg_pointrend.core import (
    Neighborhood,
    PointFeatures,
    Regions,
    Subdivision,
    pixel_centers,
    point_sample,
    render_labels,
)
from mmseg_pointrend.core.label_rendering import WAYS
from tests.core.test_label_rendering import Largest, assert_labels_fit, dense_unless_tied


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def unfolded(maps: Tensor, kernel_size: int) -> Tensor:
    """(N, C k^2, h, w) with all neighbours of each pixel, zeros beyond the border."""
    reach = kernel_size // 2
    return F.unfold(maps, kernel_size, padding=reach).unflatten(2, maps.shape[2:])


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel_size=st.sampled_from([1, 3, 5]),
    num_images=st.integers(1, 3),
    num_points=st.integers(0, 7),
    channels_last=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=100)
def test_points_read_what_the_unfolded_map_holds(
    size, kernel_size, num_images, num_points, channels_last, seed
) -> None:
    """The reference is read with a frame of zeros around it: the map does not end at its border."""
    maps = random(num_images, 2, *size, seed=seed)
    points = random(num_images, num_points, 2, seed=seed + 1)
    frame = kernel_size // 2 + 1
    framed = unfolded(F.pad(maps, [frame] * 4), kernel_size)
    sides = torch.tensor(size[::-1], dtype=torch.double)
    expected = point_sample(framed, (points * sides + frame) / (sides + 2 * frame))
    if channels_last:
        maps = maps.contiguous(memory_format=torch.channels_last)
    around = Neighborhood(maps, kernel_size)
    found = around.point_sample(points)
    assert found.shape[1] == around.num_channels
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_linear_layer_on_them_is_a_convolution(kernel_size: int) -> None:
    maps, size = random(2, 3, 7, 5), (7, 5)
    weight = random(4, 3, kernel_size, kernel_size, seed=1)
    centers = pixel_centers(torch.arange(35).expand(2, -1), size, torch.double)
    found = weight.flatten(1) @ Neighborhood(maps, kernel_size).point_sample(centers)
    expected = F.conv2d(maps, weight, padding=kernel_size // 2)
    torch.testing.assert_close(found.unflatten(2, size), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels_last", [False, True])
def test_points_of_regions_are_points_of_their_images(channels_last: bool) -> None:
    maps, coarse, points = random(2, 3, 8, 9), random(3, 4, 7, 7, seed=1), random(3, 6, 2, seed=2)
    boxes = torch.tensor([[0.1, 0.2, 0.9, 0.7], [0.0, 0.0, 1.0, 1.0], [-0.1, 0.5, 0.3, 1.2]])
    regions = Regions(boxes.double(), torch.tensor([1, 0, 1]))
    plain = random(2, 5, 4, 4, seed=3)
    if channels_last:
        maps = maps.contiguous(memory_format=torch.channels_last)
    around = Neighborhood(maps)
    fine, _ = PointFeatures([around, plain], coarse, regions)(points)
    placed = regions.to_image(points)
    for number, image in enumerate(regions.images.tolist()):
        alone = Neighborhood(maps[image : image + 1]).point_sample(placed[number : number + 1])
        torch.testing.assert_close(fine[number : number + 1, :27], alone, rtol=0, atol=1e-12)
    assert torch.equal(fine[:, 27:], regions.point_sample(plain, points))


def test_maps_and_neighbourhoods_keep_their_order() -> None:
    maps, coarse, points = random(2, 3, 8, 9), random(2, 4, 4, 4), random(2, 11, 2)
    fine, at_coarse = PointFeatures([Neighborhood(maps), maps], coarse)(points)
    assert torch.equal(fine[:, 27:], point_sample(maps, points))
    assert torch.equal(fine[:, :27], Neighborhood(maps).point_sample(points))
    assert torch.equal(at_coarse, point_sample(coarse, points))


def test_half_precision_is_read_in_single_precision() -> None:
    maps, points = random(1, 3, 6, 200).bfloat16(), random(1, 50, 2).float()
    found = Neighborhood(maps).point_sample(points)
    assert found.dtype == torch.float32
    assert torch.equal(found, Neighborhood(maps.float()).point_sample(points))


def test_gradients_reach_the_map() -> None:
    maps, points = random(2, 2, 4, 5).requires_grad_(), random(2, 3, 2, seed=1)
    assert torch.autograd.gradcheck(lambda x: Neighborhood(x).point_sample(points), [maps])


def test_no_map_of_all_neighbours_is_made() -> None:
    maps, points = torch.zeros(1, 3, 64, 96), random(1, 20, 2).float()
    with Largest() as largest:
        Neighborhood(maps, 5).point_sample(points)
    assert largest.numel < maps.numel()


class Convolution:
    """A point head of one layer: the coarse logits, and a convolution of the picture."""

    def __init__(self, features: PointFeatures, weight: Tensor) -> None:
        self.features, self.weight = features, weight

    def __call__(self, points: Tensor) -> Tensor:
        fine, coarse = self.features(points)
        return coarse + self.weight @ fine


@pytest.mark.parametrize("way", WAYS)
@given(
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    classes=st.sampled_from([1, 2, 5]),
    num_points=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=40)
def test_rendered_labels_are_those_of_the_dense_rendering(
    way, size, classes, num_points, seed
) -> None:
    """Each way asks for points in another order and number, and must get the same of each."""
    coarse = random(2, classes, *size, seed=seed) - 0.5
    picture = 4 * random(2, 3, 4 * size[0], 4 * size[1], seed=seed + 1)
    weight = random(classes, 27, seed=seed + 2) - 0.5
    head = Convolution(PointFeatures([Neighborhood(picture)], coarse), weight)
    subdivision = Subdivision(2, num_points)
    labels = render_labels(coarse, head, subdivision, way=way)
    logits, clear = dense_unless_tied(coarse, head, subdivision)
    for n in clear.nonzero().flatten().tolist():
        assert_labels_fit(labels[n], logits[n : n + 1], 0.5)


def test_the_dense_way_compiles_as_one_graph() -> None:
    picture, weight = random(2, 3, 16, 20), random(5, 27, seed=1) - 0.5
    subdivision = Subdivision(2, 30)

    def rendered(coarse: Tensor, picture: Tensor) -> list[Tensor]:
        head = Convolution(PointFeatures([Neighborhood(picture)], coarse), weight)
        return render_labels(coarse, head, subdivision, way="dense")

    coarse = random(2, 5, 4, 5, seed=2)
    compiled = torch.compile(rendered, fullgraph=True, dynamic=False, backend="aot_eager")
    for found, expected in zip(compiled(coarse, picture), rendered(coarse, picture), strict=True):
        assert torch.equal(found, expected)
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Neighborhood(torch.zeros(3, 4, 4)), r"maps must have shape \(B, C, h, w\), got"),
        (lambda: Neighborhood(torch.zeros(1, 3, 4, 4), 2), "must be odd and >= 1, got 2"),
        (lambda: Neighborhood(torch.zeros(1, 3, 4, 4), -1), "must be odd and >= 1, got -1"),
        (lambda: Neighborhood(torch.zeros(1, 3, 4, 4), 3.0), "must be odd and >= 1, got 3.0"),
        (
            lambda: Neighborhood(torch.zeros(1, 3, 4, 4)).point_sample(torch.zeros(5, 2)),
            r"points must have shape \(N, P, 2\), got \(5, 2\)",
        ),
        (
            lambda: Neighborhood(torch.zeros(1, 3, 4, 4)).point_sample(torch.zeros(2, 5, 2)),
            "must have the same N",
        ),
    ],
)
def test_mistakes_are_named(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
