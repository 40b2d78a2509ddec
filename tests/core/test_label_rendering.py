"""Rendering labels against the dense rendering of logits."""

import math

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
    Resize,
    logit_margin,
    pixel_centers,
    render,
    render_labels,
    warp_map,
)
from mmseg_pointrend.core.label_rendering import rendering
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


def dense_with_chosen_points(
    coarse: Tensor, head: PointHead, asked: list[Tensor], steps: int, num_points: int, scale: int,
    margin, max_margin: float,
) -> Tensor:  # fmt: skip
    """Render densely, given the points; they must be the most uncertain ones, or as good as."""
    logits, asked = coarse, list(asked)
    for _ in range(steps):
        size = (logits.shape[2] * scale, logits.shape[3] * scale)
        logits = warp_map(logits, [Resize(*size)])
        margins = margin(logits).flatten(1)
        below = (margins < max_margin).sum(1).clamp(max=num_points)
        if not below.any():
            continue
        points = asked.pop(0)
        assert points.shape[1] == min(below.max(), math.prod(size))
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


@given(data=st.data())
@settings(deadline=None, max_examples=300)
@pytest.mark.parametrize("way", ["sparse", "dense", "chosen"])
def test_labels_equal_those_of_the_dense_rendering(way: str, data: st.DataObject) -> None:
    """In double precision: a label may differ only where the two best logits are equal."""
    draw = data.draw
    regions, classes = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 19, 150]))
    height, width = draw(st.integers(1, 11)), draw(st.integers(1, 11))
    scale = draw(st.sampled_from([2, 2, 2, 3, 4]))
    steps = draw(st.integers(0, 5 if classes < 19 and scale == 2 else 2))
    steps = min(steps, max(s for s in range(6) if height * width * scale ** (2 * s) <= 30_000))
    size = (height * scale**steps, width * scale**steps)
    num_points = draw(st.integers(1, min(2 * size[0] * size[1], 400)))
    margin = MARGINS[draw(st.sampled_from(["logit", "probability"]))]
    max_margin = draw(st.sampled_from([math.inf, math.inf, 0.5, 0.05]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    kind = draw(st.sampled_from(["smooth", "random", "constant", "ties"]))
    coarse = coarse_logits(kind, (regions, classes, height, width), generator)
    head = PointHead(regions, classes, generator)
    after = [draw(warps(size)) for _ in range(regions)]
    threshold = 0.4

    share = dict(sparse=math.inf, dense=0.0, chosen=rendering.MAX_MIXED_SHARE)[way]
    labels = render_labels(
        coarse, head, steps, num_points, scale, margin, max_margin, after, threshold, share
    )
    asked, head.asked = head.asked, []
    logits = dense_with_chosen_points(
        coarse, head, asked, steps, num_points, scale, margin, max_margin
    )
    for n in range(regions):
        expected = warp_map(logits[n : n + 1], after[n])
        if classes == 1:
            best, gap = expected[:, 0].sigmoid() > threshold, (expected[:, 0].sigmoid() - 0.4).abs()
        else:
            best, gap = expected.argmax(1), logit_margin(expected)
        assert labels[n].shape == best.shape[1:]
        assert (gap[0][labels[n] != best[0]] <= 1e-9).all()


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
        labels = render_labels(coarse, head, 2, 300, warps=[after])[0]
    # Where all is uncertain there are all logits of the grid before: a quarter of the last grid's.
    assert largest.numel < classes * labels.numel() / 3


@pytest.mark.parametrize("share", [0.0, math.inf], ids=["dense", "sparse"])
@pytest.mark.parametrize("classes", [2, 7])
def test_half_precision_is_rendered_in_single_precision(classes: int, share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.from_numpy(scene_logits(1, classes, (24, 32)))[None].bfloat16()
    head = PointHead(1, classes, generator)
    with torch.autocast("cpu", torch.bfloat16):
        labels = render_labels(
            coarse, head, 2, 100, warps=[[Resize(90, 131)]], max_mixed_share=share
        )[0]
    logits = warp_map(render(coarse.float(), head, 2, 100), [Resize(90, 131)])
    different = labels != logits.argmax(1)[0]
    assert (logit_margin(logits)[0][different] <= 1e-4).all()


def test_no_regions() -> None:
    assert render_labels(torch.zeros(0, 3, 7, 7), PointHead, 5, 784) == []


def test_a_certain_prediction_does_not_ask_the_point_head() -> None:
    coarse = torch.zeros(1, 3, 4, 4)
    coarse[:, 1] = 9

    def fail(points: Tensor) -> Tensor:
        raise AssertionError("asked")

    labels = render_labels(coarse, fail, 3, 100, max_margin=1.0)[0]
    assert labels.shape == (32, 32) and (labels == 1).all()
    assert (render(coarse, fail, 3, 100, max_margin=1.0).argmax(1) == 1).all()


@pytest.mark.parametrize("classes", [2, 254, 255, 300])
def test_labels_fit_their_type(classes: int) -> None:
    coarse = torch.zeros(1, classes, 3, 5)
    coarse[:, -1, :, 3:] = 1
    labels = render_labels(coarse, PointHead, 0, 1, warps=[[Resize(9, 20)]])[0]
    assert labels.dtype == (torch.uint8 if classes < 255 else torch.int16)
    assert set(labels.flatten().tolist()) == {0, classes - 1}


def test_as_many_warps_as_regions() -> None:
    with pytest.raises(ValueError, match="2 regions need as many warps, got 1"):
        render_labels(torch.zeros(2, 3, 4, 4), PointHead, 1, 1, warps=[[]])
