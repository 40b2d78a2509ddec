"""Rendering labels against the dense rendering of logits."""

import math
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmseg_pointrend.core import (
    MARGINS,
    Crop,
    Flip,
    Place,
    Resize,
    Subdivision,
    decide,
    logit_margin,
    pixel_centers,
    render,
    render_labels,
    subdivide,
    warp_map,
)
from mmseg_pointrend.core.label_rendering.rendering import WAYS
from mmseg_pointrend.lab.scenes.logits import scene_logits


class PointHead:
    """A function of the point alone, and a record of the points it was asked for."""

    def __init__(self, regions: int, classes: int, generator: torch.Generator) -> None:
        def random(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.double)

        self.weights, self.phase = random(regions, classes, 4), random(regions, 1, 4)
        self.frequency = 9 * random(2, 4)
        self.asked: list[Tensor] = []

    def __call__(self, points: Tensor) -> Tensor:
        self.asked.append(points)
        waves = (points.double() @ self.frequency + self.phase).sin()
        return torch.einsum("nkc,npc->nkp", self.weights, waves).to(points.dtype)


def entropy_margin(logits: Tensor) -> Tensor:
    """A margin without a bound: how far the entropy is from its maximum."""
    if logits.shape[1] == 1:
        logits = torch.cat([logits, torch.zeros_like(logits)], dim=1)
    shares = logits.log_softmax(1)
    return math.log(logits.shape[1]) + (shares.exp() * shares).sum(1)


def dense_with_chosen_points(
    coarse: Tensor,
    head: PointHead,
    asked: list[Tensor],
    subdivision: Subdivision,
    fixed_shapes: bool = False,
) -> Tensor:
    """Render densely, given the points; they must be the most uncertain ones, or as good as.

    In fixed shapes they are N in every step, of which those below `max_margin` come first.
    """
    logits, asked, max_margin = coarse, list(asked), subdivision.max_margin
    num_points = subdivision.count_points(tuple(coarse.shape[2:]))
    vain = subdivision.full_steps(tuple(coarse.shape[2:])) - 1
    for number in range(subdivision.steps):
        size = tuple(side * subdivision.scale_factor for side in logits.shape[2:])
        logits = warp_map(logits, [Resize(*size)])
        margins = subdivision.margin(logits).flatten(1)
        below = (margins < max_margin).sum(1).clamp(max=num_points)
        if number < vain and asked[0].shape[1] > math.prod(size):
            continue
        if not fixed_shapes and not below.any():
            continue
        points = asked.pop(0)
        most = num_points if fixed_shapes else below.max()
        assert points.shape[1] == min(most, math.prod(size))
        predicted = head(points)
        flat = logits.flatten(2).clone()
        for n, count in enumerate(below.tolist()):
            x, y = (points[n, :count] * torch.tensor(size[::-1])).floor().long().unbind(1)
            chosen = y * size[1] + x
            centres = pixel_centers(chosen[None], size, points.dtype)
            torch.testing.assert_close(points[None, n, :count], centres)
            assert len(chosen.unique()) == count
            others = torch.ones_like(margins[n], dtype=torch.bool)
            others[chosen] = False
            if others.any() and count:
                assert margins[n][chosen].max() <= margins[n][others].min() + 1e-9 or (
                    margins[n][others].min() >= max_margin - 1e-9
                )
            flat[n][:, chosen] = predicted[n][:, :count]
        logits = flat.unflatten(2, size)
    assert not asked
    return logits


def dense_unless_tied(
    coarse: Tensor, head: PointHead, subdivision: Subdivision, rounding: float = 1e-9
) -> tuple[Tensor, Tensor]:
    """Render by `subdivide` alone: logits, and in which regions no step chose among equals.

    Two margins at the cut, the last that is chosen and the first that is not, count as equal if
    they differ by `rounding` or less; so do a margin and `max_margin`.
    """
    logits, clear = coarse, torch.ones(len(coarse), dtype=torch.bool)
    num_points = subdivision.count_points(tuple(coarse.shape[2:]))
    for step in subdivide(coarse, head, subdivision):
        before = warp_map(logits, [Resize(*step.logits.shape[2:])])
        margins = subdivision.margin(before).flatten(1).sort(1).values
        if margins.shape[1] > num_points:
            clear &= margins[:, num_points] - margins[:, num_points - 1] > rounding
        clear &= ((margins - subdivision.max_margin).abs() > rounding).all(1)
        logits = step.logits
    return logits, clear


def coarse_logits(kind: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if kind == "constant":
        return torch.ones(shape, dtype=torch.double)
    if kind == "ties":
        return torch.randint(0, 2, shape, generator=generator).double()
    logits = torch.randn(shape, generator=generator, dtype=torch.double)
    if kind == "smooth":
        small = logits[:, :, : -(-shape[2] // 4), : -(-shape[3] // 4)]
        return 5 * warp_map(small, [Resize(*shape[2:])])
    return logits


@st.composite
def warps(draw, size: tuple[int, int]) -> list:
    """Whatever may follow: padding cut off, flips, resizes down and up, none of them."""
    steps, (height, width) = [], size
    for kind in draw(st.lists(st.sampled_from(["crop", "flip", "resize"]), max_size=4)):
        if kind == "flip":
            steps.append(Flip(draw(st.sampled_from(["horizontal", "vertical"]))))
        elif kind == "crop":
            top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
            height, width = draw(st.integers(1, height - top)), draw(st.integers(1, width - left))
            steps.append(Crop(top, left, height, width))
        else:
            height, width = draw(st.integers(1, 50)), draw(st.integers(1, 50))
            steps.append(Resize(height, width))
    return steps


@st.composite
def subdivisions(draw, classes: int, size: tuple[int, int]) -> Subdivision:
    """Settings for a coarse grid of that size: few points, many, nearly all, and all."""
    scale = draw(st.sampled_from([2, 2, 2, 3, 4]))
    steps = draw(st.integers(0, 5 if classes < 19 and scale == 2 else 2))
    pixels = size[0] * size[1]
    steps = min(steps, max(s for s in range(6) if pixels * scale ** (2 * s) <= 30_000))
    pixels *= scale ** (2 * steps)
    num_points = draw(
        st.one_of(
            st.just(1),
            st.integers(1, min(2 * pixels, 400)),
            st.integers(max(1, pixels - 3), pixels + 1),
            st.floats(0.001, 1.0),
            st.just("stride-16"),
        )
    )
    margin = draw(st.sampled_from([*MARGINS.values(), *MARGINS.values(), entropy_margin]))
    max_margin = draw(st.sampled_from([math.inf, math.inf, 0.5, 0.05]))
    return Subdivision(steps, num_points, scale, max_margin, margin)


#: Heights and widths of coarse grids, single rows and columns among them.
sizes = st.one_of(
    st.tuples(st.integers(1, 11), st.integers(1, 11)),
    st.tuples(st.just(1), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.just(1)),
)


@pytest.mark.parametrize("way", WAYS)
@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_labels_equal_those_of_the_dense_rendering(way: str, data: st.DataObject) -> None:
    """In double precision: a label may differ only where the two best logits are equal."""
    check_labels(way, data)


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_labels_in_fixed_shapes(data: st.DataObject) -> None:
    """The same of what a compiler is shown: nothing is cut into pieces, no point is left out."""
    with mock.patch("torch.compiler.is_compiling", return_value=True):
        check_labels("dense", data, fixed_shapes=True)


def check_labels(way: str, data: st.DataObject, fixed_shapes: bool = False) -> None:
    draw = data.draw
    regions, classes = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 19, 150]))
    size = draw(sizes)
    subdivision = draw(subdivisions(classes, size))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    kind = draw(st.sampled_from(["smooth", "random", "constant", "ties"]))
    coarse = coarse_logits(kind, (regions, classes, *size), generator)
    head = PointHead(regions, classes, generator)
    after = [draw(warps(subdivision.grid_size(size))) for _ in range(regions)]
    if draw(st.booleans()):
        after = after[:1]
    threshold = 0.4

    labels = render_labels(coarse, head, subdivision, after, threshold, way)
    asked, head.asked = head.asked, []
    with_chosen = dense_with_chosen_points(coarse, head, asked, subdivision, fixed_shapes)
    plain, clear = dense_unless_tied(coarse, head, subdivision)
    assert len(labels) == regions
    for n in range(regions):
        warp = after[0] if len(after) == 1 else after[n]
        for logits in [with_chosen, *([plain] if clear[n] else [])]:
            assert_labels_fit(labels[n], warp_map(logits[n : n + 1], warp), threshold)


def assert_labels_fit(labels: Tensor, logits: Tensor, threshold: float, gap: float = 1e-9) -> None:
    """Labels (H, W) are what (1, K, H, W) logits decide, but where two classes are as good."""
    best = decide(logits, threshold)[0]
    assert labels.shape == best.shape
    if logits.shape[1] == 1:
        gaps = (logits[0, 0].sigmoid() - threshold).abs()
    else:
        gaps = logit_margin(logits)[0]
    assert (gaps[labels != best] <= gap).all()


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_labels_of_float32_logits(data: st.DataObject) -> None:
    """As above; where margins at a cut are far enough apart, rounding chooses no other pixel."""
    draw = data.draw
    classes, size = draw(st.sampled_from([1, 2, 19])), draw(sizes)
    subdivision = draw(subdivisions(classes, size))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    coarse = coarse_logits("smooth", (2, classes, *size), generator).float()
    head = PointHead(2, classes, generator)
    after = draw(warps(subdivision.grid_size(size)))
    labels = render_labels(coarse, head, subdivision, [after])
    logits, clear = dense_unless_tied(coarse.double(), head, subdivision, rounding=1e-4)
    for n in clear.nonzero().flatten().tolist():
        assert_labels_fit(labels[n], warp_map(logits[n : n + 1], after), 0.5, gap=1e-3)


@given(data=st.data())
@settings(deadline=None, max_examples=100)
@pytest.mark.parametrize("way", ["sparse", "dense"])
def test_regions_are_placed_in_their_picture(way: str, data: st.DataObject) -> None:
    """Boxes with sides between pixels, partly outside, of one pixel and of the whole picture."""
    draw = data.draw
    regions, classes = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 5]))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    corners = torch.rand(regions, 2, generator=generator, dtype=torch.double) * 50 - 10
    sides = torch.rand(regions, 2, generator=generator, dtype=torch.double) * 40 + 0.3
    place = Place(torch.cat([corners, corners + sides], dim=1), height, width)
    coarse = coarse_logits("smooth", (regions, classes, 7, 7), generator)
    head = PointHead(regions, classes, generator)
    subdivision = Subdivision(draw(st.integers(0, 2)), 60)
    labels = render_labels(coarse, head, subdivision, [[place]], way=way)
    asked, head.asked = head.asked, []
    logits = dense_with_chosen_points(coarse, head, asked, subdivision)
    for found, expected in zip(labels, place.apply(logits), strict=True):
        assert_labels_fit(found, expected[None], 0.5)


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operator made."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, Tensor):
                self.numel = max(self.numel, value.numel())
        return result


@pytest.mark.parametrize("kind", ["scene", "random"])
@pytest.mark.parametrize("after", [[], [Resize(300, 401)]], ids=["grid", "resized"])
def test_no_tensor_holds_all_logits_of_the_output(kind: str, after: list) -> None:
    generator = torch.Generator().manual_seed(0)
    classes, height, width = 40, 32, 48
    coarse = torch.randn(1, classes, height, width, generator=generator)
    if kind == "scene":
        coarse = torch.from_numpy(scene_logits(0, classes, (height, width)))[None]
    head = PointHead(1, classes, generator)
    with Largest() as largest:
        labels = render_labels(coarse, head, Subdivision(2, 300), [after])[0]
    # Where all is uncertain there are all logits of the grid before: a quarter of the last grid's.
    assert largest.numel < classes * labels.numel() / 3


@pytest.mark.parametrize("way", ["dense", "sparse"])
@pytest.mark.parametrize("classes", [2, 7])
def test_half_precision_is_rendered_in_single_precision(classes: int, way: str) -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.from_numpy(scene_logits(1, classes, (24, 32)))[None].bfloat16()
    head = PointHead(1, classes, generator)
    with torch.autocast("cpu", torch.bfloat16):
        labels = render_labels(coarse, head, Subdivision(2, 100), [[Resize(90, 131)]], way=way)[0]
    logits = warp_map(render(coarse.float(), head, Subdivision(2, 100)), [Resize(90, 131)])
    different = labels != logits.argmax(1)[0]
    assert (logit_margin(logits)[0][different] <= 1e-4).all()


def test_no_regions() -> None:
    assert render_labels(torch.zeros(0, 3, 7, 7), PointHead, Subdivision(5, 784)) == []


def test_a_certain_prediction_does_not_ask_the_point_head() -> None:
    coarse = torch.zeros(1, 3, 4, 4)
    coarse[:, 1] = 9

    def fail(points: Tensor) -> Tensor:
        raise AssertionError("asked")

    subdivision = Subdivision(3, 100, max_margin=1.0)
    labels = render_labels(coarse, fail, subdivision)[0]
    assert labels.shape == (32, 32) and (labels == 1).all()
    assert (render(coarse, fail, subdivision).argmax(1) == 1).all()


@pytest.mark.parametrize("classes", [2, 254, 255, 300])
def test_labels_fit_their_type(classes: int) -> None:
    coarse = torch.zeros(1, classes, 3, 5)
    coarse[:, -1, :, 3:] = 1
    labels = render_labels(coarse, PointHead, Subdivision(0), [[Resize(9, 20)]])[0]
    assert labels.dtype == (torch.uint8 if classes < 255 else torch.int16)
    assert set(labels.flatten().tolist()) == {0, classes - 1}


def test_as_many_warps_as_regions() -> None:
    with pytest.raises(ValueError, match="3 regions need as many warps, or one for all, got 2"):
        render_labels(torch.zeros(3, 3, 4, 4), PointHead, Subdivision(1, 1), [[], []])


@pytest.mark.parametrize("classes", [1, 3])
def test_as_many_boxes_as_regions(classes: int) -> None:
    place = Place(torch.tensor([[0.0, 0.0, 4.0, 4.0]] * 2), 6, 6)
    with pytest.raises(ValueError, match="3 regions need as many boxes, got 2"):
        render_labels(torch.zeros(3, classes, 4, 4), PointHead, Subdivision(0), [[place]])


@pytest.mark.parametrize("classes", [1, 4])
def test_more_regions_take_no_more_operations(classes: int) -> None:
    """All regions are worked on at once: the number of operators does not grow with them."""

    class Count(TorchDispatchMode):
        number = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.number += 1
            return func(*args, **(kwargs or {}))

    def count(regions: int) -> int:
        generator = torch.Generator().manual_seed(0)
        coarse = coarse_logits("smooth", (1, classes, 7, 7), generator).repeat(regions, 1, 1, 1)
        place = Place(torch.tensor([[1.5, 2.0, 30.0, 21.5]]).repeat(regions, 1), 32, 40)
        weights = torch.ones(regions, classes, 2, dtype=torch.double)
        subdivision = Subdivision(3, 100)
        with Count() as counted:
            render_labels(
                coarse,
                lambda points: torch.einsum("nkc,npc->nkp", weights, points),
                subdivision,
                [[place]],
                way="sparse",
            )
        return counted.number

    # The results are handed out one by one: an operation or two each.
    assert count(30) <= count(2) + 2 * 28


@pytest.mark.parametrize("after", [[], [Resize(15, 20), Crop(0, 0, 14, 20), Resize(33, 47)]])
@pytest.mark.parametrize("max_margin", [math.inf, 0.5])
def test_the_dense_way_compiles_as_one_graph(after: list, max_margin: float) -> None:
    """Without a break: nothing in it depends on the logits but the labels."""
    generator = torch.Generator().manual_seed(0)
    coarse = coarse_logits("smooth", (2, 5, 4, 5), generator)
    weights = torch.randn(5, 2, generator=generator, dtype=torch.double)
    subdivision = Subdivision(2, 30, max_margin=max_margin)

    def render_them(logits: Tensor) -> list[Tensor]:
        head = lambda points: torch.einsum("kc,npc->nkp", weights, (9 * points).sin())  # noqa: E731
        return render_labels(logits, head, subdivision, [after], way="dense")

    compiled = torch.compile(render_them, fullgraph=True, dynamic=False, backend="aot_eager")
    for found, expected in zip(compiled(coarse), render_them(coarse), strict=True):
        assert torch.equal(found, expected)
    torch._dynamo.reset()


def test_an_unknown_way() -> None:
    with pytest.raises(ValueError, match="way must be one of .*, got 'fast'"):
        render_labels(torch.zeros(1, 3, 4, 4), PointHead, Subdivision(1, 1), way="fast")
