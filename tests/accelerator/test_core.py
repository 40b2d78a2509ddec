"""The functions of `core` on a GPU, the make-believe one: all in one place, and as on the CPU."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mmseg_pointrend.core import (
    Crop,
    Flip,
    Place,
    PointFeatures,
    Regions,
    Resize,
    Subdivision,
    TrainingPoints,
    confidence,
    decide,
    label_sample,
    list_windows,
    logit_margin,
    mask_sample,
    paste_masks,
    pieces,
    point_sample,
    probability_margin,
    render,
    render_labels,
    select_training_points,
    slide_labels,
    subdivide,
)
from tests.accelerator.both_devices import assert_same

pytestmark = pytest.mark.usefixtures("gpu")

SIZE = (6, 9)


def own_margin(logits: Tensor) -> Tensor:
    """A margin that nothing is known of."""
    return logits.float().std(1) if logits.shape[1] > 1 else logits[:, 0].float().abs()


def smooth_logits(images: int, classes: int, scale: float = 1.0) -> Tensor:
    """Logits with large areas of each class, or noise."""
    torch.manual_seed(1)
    few = torch.randn(images, classes, 2, 3)
    return Resize(*SIZE).apply(few) * 4 + scale * torch.randn(images, classes, *SIZE) / 4


def point_head(channels: Tensor) -> Callable[[Tensor], Tensor]:
    """A function of points, with a weight for each class."""
    return lambda points: (
        channels[:, None] * torch.sin(9 * points.sum(2) + channels[:1])[:, None] * 5
    ).expand(len(points), -1, -1)


MARGINS = {"logit": logit_margin, "probability": probability_margin, "own": own_margin}


@pytest.mark.parametrize("margin", MARGINS.values(), ids=MARGINS.keys())
@pytest.mark.parametrize("classes", [1, 7])
def test_rendering(classes: int, margin) -> None:
    subdivision = Subdivision(2, 20, max_margin=0.4 if classes == 7 else math.inf, margin=margin)

    def dense(coarse: Tensor, weights: Tensor) -> list[Tensor]:
        predict = point_head(weights)
        steps = subdivide(coarse, predict, subdivision)
        return [render(coarse, predict, subdivision), *(step.logits for step in steps)]

    weights = torch.linspace(-1, 1, classes)
    assert_same(dense, smooth_logits(2, classes), weights)


WARPS = {
    "none": ((),),
    "picture": ([Crop(0, 0, 21, 33), Flip("horizontal"), Resize(29, 51)],),
    "two of them": (
        [Resize(29, 51)],
        [Crop(2, 1, 20, 30), Flip("vertical"), Resize(13, 17, align_corners=True)],
        [Resize(29, 51)],
    ),
}


@pytest.mark.parametrize("way", ["dense", "sparse"])
@pytest.mark.parametrize("classes", [1, 2, 7])
@pytest.mark.parametrize("margin", MARGINS.values(), ids=MARGINS.keys())
def test_rendering_labels(margin, classes: int, way: str) -> None:
    for warps, max_margin in zip(WARPS.values(), (math.inf, 0.4, math.inf), strict=True):
        subdivision = Subdivision(2, 30, max_margin=max_margin, margin=margin)

        def labels(coarse: Tensor, weights: Tensor, warps=warps, settings=subdivision) -> list:
            return render_labels(coarse, point_head(weights), settings, warps, way=way)

        found = assert_same(labels, smooth_logits(3, classes), torch.linspace(-1, 1, classes))
        assert len(found) == 3 and len(found[0].unique()) > 1


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("classes", [1, 7])
def test_rendering_in_little_memory(
    classes: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way is chosen by what is free: all logits, some at a time, or few of them."""

    def labels(coarse: Tensor, weights: Tensor) -> list[Tensor]:
        warps = WARPS["two of them"]
        return render_labels(coarse, point_head(weights), Subdivision(steps, 20), warps)

    monkeypatch.setattr(pieces, "_CACHE", 2**12)
    for free in (2**33, 2**16, 2**4):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_, free=free: (free, free))
        for noise in (1.0, 99.0):  # of which most pixels are uncertain
            assert_same(labels, smooth_logits(3, classes, noise), torch.linspace(-1, 1, classes))


@pytest.mark.parametrize("way", ["dense", "sparse"])
def test_rendering_into_boxes(way: str) -> None:
    """Boxes that are where the logits are."""

    def labels(coarse: Tensor, weights: Tensor, boxes: Tensor) -> list[Tensor]:
        warp = [Place(boxes, 23, 31)]
        return render_labels(coarse, point_head(weights), Subdivision(2, 20), [warp], way=way)

    boxes = torch.tensor([[1.5, 2.0, 20.0, 19.5], [-3.0, 4.0, 9.0, 30.0], [5.0, 5.0, 5.0, 9.0]])
    assert_same(labels, smooth_logits(3, 4), torch.linspace(-1, 1, 4), boxes)


def test_rendering_in_a_fixed_order() -> None:
    """`torch.use_deterministic_algorithms` takes other operators on a GPU."""

    def labels(coarse: Tensor, weights: Tensor) -> list[Tensor]:
        return render_labels(
            coarse, point_head(weights), Subdivision(2, 20), [[Resize(29, 51)]], way="sparse"
        )

    def gradient(maps: Tensor, points: Tensor) -> Tensor:
        maps = maps.detach().requires_grad_()
        point_sample(maps, points).square().sum().backward()
        return maps.grad

    maps = torch.randn(2, 4, *SIZE)
    expected = assert_same(gradient, maps, torch.rand(2, 11, 2))
    torch.use_deterministic_algorithms(True)
    try:
        assert_same(labels, smooth_logits(2, 7), torch.linspace(-1, 1, 7))
        ordered = assert_same(gradient, maps, torch.rand(2, 11, 2), atol=1e-5)
    finally:
        torch.use_deterministic_algorithms(False)
    assert ordered.shape == expected.shape


@pytest.mark.parametrize("strategy", ["regular-grid", "uniform", "mildly-biased", "heavily-biased"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_training_points(strategy: str, dtype: torch.dtype) -> None:
    settings = TrainingPoints(13, strategy)
    logits = smooth_logits(2, 3).to(dtype)
    for margin in MARGINS.values():
        assert_same(lambda found, m=margin: select_training_points(found, settings, m), logits)


def test_reading_points() -> None:
    torch.manual_seed(2)
    maps, points = torch.randn(2, 4, *SIZE), torch.rand(2, 11, 2) * 1.2 - 0.1
    labels, number = torch.randint(0, 9, (2, *SIZE)), torch.tensor([1, 0])
    assert_same(point_sample, maps, points)
    assert_same(point_sample, maps.half(), points)
    assert_same(label_sample, labels, points.clamp(0, 1))
    assert_same(lambda found, n, at: mask_sample(found > 4, n, at), labels, number, points)


@pytest.mark.parametrize("images", [1, 3])
def test_reading_regions(images: int) -> None:
    """Regions of one image, and of several of which one has none; and no regions at all."""
    torch.manual_seed(2)
    fine, coarse = torch.randn(images, 4, *SIZE), torch.randn(5, 3, 7, 7)
    boxes, points = torch.rand(5, 4) * 40, torch.rand(5, 11, 2)
    numbers = torch.tensor([0, 0, images - 1, 0, images - 1])

    def read(*found: Tensor) -> list[Tensor]:
        fine, coarse, boxes, points, numbers = found
        regions = Regions.from_pixels(boxes, numbers, (24, 36))
        return [
            *PointFeatures([fine, fine[:, :2]], coarse, regions)(points),
            regions.from_image(regions.to_image(points)),
        ]

    assert_same(read, fine, coarse, boxes, points, numbers)
    assert_same(read, fine, coarse[:0], boxes[:0], points[:0], numbers[:0])


@pytest.mark.parametrize("count", [0, 1, 7])
def test_pasting(count: int) -> None:
    torch.manual_seed(2)
    corners = torch.rand(count, 2, 2).sort(1).values * 40 - 4
    masks, boxes = torch.rand(count, 7, 7), corners.flatten(1)
    assert_same(lambda found, at: paste_masks(found, at, (23, 31)), masks, boxes)


@pytest.mark.parametrize("classes", [1, 4])
def test_deciding(classes: int) -> None:
    logits = smooth_logits(2, classes)
    assert_same(lambda found: [decide(found, 0.6), confidence(found, 0.6)], logits)
    assert_same(lambda found: confidence(found), logits.half())


def test_sliding() -> None:
    windows = list_windows((13, 17), window=(6, 9), stride=(4, 5))

    def slide(logits: Tensor) -> list[Tensor]:
        def predict(window) -> list[Tensor]:
            rows, columns = window.slices
            return [logits[..., rows, columns] * 2, logits[..., rows, columns]]

        bands = slide_labels(windows, (13, 17), predict, lambda mean: decide(mean))
        return [labels for _, maps in bands for labels in maps]

    assert_same(slide, torch.randn(2, 3, 13, 17))
