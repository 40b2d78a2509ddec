"""A foreign network with a point head: what it renders, and what it refuses."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmseg_pointrend.core import Subdivision
from mmseg_pointrend.retrofit import PointHead, Retrofit
from tests.retrofit.networks import bars, read_maps, small_network

EXAMPLE = torch.zeros(1, 3, 64, 64)


def retrofit(**settings: object) -> Retrofit:
    torch.manual_seed(1)
    model = Retrofit(small_network(), read_maps, EXAMPLE, **settings)
    for parameter in model.point_head.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


def test_the_example_says_classes_channels_and_stride() -> None:
    model = Retrofit(small_network(), read_maps, torch.zeros(2, 3, 45, 70))
    assert model.subdivision == Subdivision(steps=3, num_points=1 / 16)
    assert model.point_head.hidden[0].in_features == 8 + 27 + 3
    assert model.point_head.last.out_features == 3


def test_labels_are_those_of_the_logits() -> None:
    """Rendered by hand, step by step, for pictures whose sides are no multiples of the stride.

    In double precision, in which rounding changes no choice of points.
    """
    model, images = retrofit().double(), bars(2)[0].double()
    with torch.no_grad():
        network = model.network
        stem = network.stem(images)
        logits = network.classes(network.body(stem))
        for _ in range(3):
            logits = F.interpolate(logits, scale_factor=2, mode="bilinear")
            top = logits.topk(2, dim=1).values
            height, width = logits.shape[2:]
            # A sixteenth of the pixels of the last grid, 48 x 72.
            chosen = (top[:, 0] - top[:, 1]).flatten(1).topk(216, largest=False).indices
            x, y = chosen.double() % width, chosen.double() // width
            points = torch.stack([(x + 0.5) / width, (y + 0.5) / height], dim=2)
            grid = 2 * points[:, :, None] - 1
            coarse = network.classes(network.body(stem))
            sampled = [
                F.grid_sample(values, grid, align_corners=False)[..., 0]
                for values in (stem, coarse)
            ]
            # Outside of the picture there are zeros: one more row and column of windows.
            windows = F.unfold(F.pad(images, (1, 1, 1, 1)), 3, padding=1).view(2, 27, 47, 72)
            inner = grid * grid.new_tensor([70 / 72, 45 / 47])
            sampled.insert(1, F.grid_sample(windows, inner, align_corners=False)[..., 0])
            predicted = model.point_head(torch.cat(sampled[:2], dim=1), sampled[2])
            logits.flatten(2).scatter_(2, chosen[:, None].expand(-1, 3, -1), predicted)
        expected = F.interpolate(logits, (45, 70), mode="bilinear")
        assert torch.allclose(model.logits(images), expected, atol=1e-9)
        differing = (model(images) != expected.argmax(1)).float().mean()
    assert model(images).shape == (2, 45, 70)
    assert differing < 1e-3  # equal margins


def test_coarse_labels_are_the_networks_own() -> None:
    model, (images, _) = retrofit(), bars(1)
    coarse, _ = model.maps(images)
    expected = F.interpolate(coarse, (45, 70), mode="bilinear").argmax(1)
    assert (model.coarse_labels(images) == expected).all()
    assert (model(images) != expected).any()


def test_one_logit_has_a_threshold() -> None:
    network = nn.Conv2d(3, 1, 4, stride=4)

    def read(network: nn.Module, images: torch.Tensor) -> tuple:
        return network(images), [images]

    models = [Retrofit(network, read, EXAMPLE, threshold=threshold) for threshold in (0.3, 0.7)]
    images, _ = bars(1)
    for model in models:
        model.point_head = models[0].point_head
    low, high = (model.eval()(images) for model in models)
    expected = (models[0].logits(images).sigmoid()[:, 0] > 0.3).long()
    assert torch.equal(low.long(), expected)
    assert low.sum() > high.sum()


def test_parts_of_ones_own() -> None:
    head = PointHead(8 + 27, 3, channels=5, num_layers=1)
    model = retrofit(point_head=head, subdivision=Subdivision(steps=1, num_points=3))
    images, _ = bars(1)
    assert model.point_head is head
    assert (model(images) != model.coarse_labels(images)).any()


def test_the_state_of_a_retrofit_is_that_of_both() -> None:
    model, (images, _) = retrofit(), bars(1)
    torch.manual_seed(7)
    other = Retrofit(small_network(seed=5), read_maps, EXAMPLE).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(images), model(images))


def none(network: nn.Module, images: torch.Tensor) -> tuple:
    return read_maps(network, images)[0], []


def flat(network: nn.Module, images: torch.Tensor) -> tuple:
    coarse, fine = read_maps(network, images)
    return coarse, [fine[0].flatten(2)]


def integers(network: nn.Module, images: torch.Tensor) -> tuple:
    coarse, fine = read_maps(network, images)
    return coarse.argmax(1, keepdim=True), fine


def as_fine_as_the_image(network: nn.Module, images: torch.Tensor) -> tuple:
    return images, [images]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda network, images: network.stem(images), "must return .coarse logits, list of fine"),
        (none, "at least one fine-grained map, got none"),
        (flat, r"fine-grained map 0 must be floating-point, \(N, C, h, w\) with N = 1, got \(1, 8"),
        (integers, r"coarse logits must be floating-point"),
        (as_fine_as_the_image, r"\(64, 64\) are as large as the image.*avg_pool2d\(logits, 4\)"),
    ],
)
def test_maps_that_do_not_fit_are_named(read: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Retrofit(small_network(), read, EXAMPLE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(fine_channels=0), "fine_channels must be >= 1, got 0"),
        (dict(channels=0), "channels must be >= 1, got 0"),
        (dict(num_layers=-1), "num_layers must be >= 0, got -1"),
    ],
)
def test_heads_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PointHead(**(dict(fine_channels=4, num_logits=2) | settings))
