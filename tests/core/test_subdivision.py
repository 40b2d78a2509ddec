"""The rendering loop against a hand-worked grid and an independent per-pixel reference."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmseg_pointrend.core import (
    MARGINS,
    Subdivision,
    label_sample,
    lasting_steps,
    logit_margin,
    most_uncertain_pixels,
    render,
    subdivide,
    uncertain_pixels,
)


def enlarge_slowly(grid: Tensor, scale: int) -> Tensor:
    """Enlarge one region bilinearly, pixel by pixel. (K, h, w) -> (K, h scale, w scale)."""
    channels, height, width = grid.shape
    fine = torch.zeros(channels, height * scale, width * scale, dtype=grid.dtype)
    for y in range(height * scale):
        for x in range(width * scale):
            v = min(max((y + 0.5) / scale - 0.5, 0), height - 1)
            u = min(max((x + 0.5) / scale - 0.5, 0), width - 1)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            a, b = v - top, u - left
            fine[:, y, x] = (1 - a) * ((1 - b) * grid[:, top, left] + b * grid[:, top, right])
            fine[:, y, x] += a * ((1 - b) * grid[:, bottom, left] + b * grid[:, bottom, right])
    return fine


def margin_slowly(logits: Tensor) -> float:
    values = sorted(logits.tolist(), reverse=True)
    return abs(values[0]) if len(values) == 1 else values[0] - values[1]


@given(
    classes=st.sampled_from([1, 2, 5]),
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    steps=st.integers(0, 3),
    scale=st.sampled_from([2, 3]),
    num_points=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=40)
def test_every_step_equals_the_slow_reference(
    classes, height, width, steps, scale, num_points, seed
) -> None:
    steps = min(steps, 2) if scale == 3 else steps
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(2, classes, height, width, generator=generator, dtype=torch.double)
    weights = torch.randn(classes, 2, generator=generator, dtype=torch.double)

    def predict(points: Tensor) -> Tensor:
        return torch.einsum("kc,npc->nkp", weights, (7 * points).sin())

    previous, subdivision = coarse, Subdivision(steps, num_points, scale)
    records = list(subdivide(coarse, predict, subdivision))
    assert len(records) == steps
    for step in records:
        for n in range(2):
            before = enlarge_slowly(previous[n], scale)
            rows, columns = before.shape[1:]
            chosen = {divmod(index, columns) for index in step.indices[n].tolist()}
            assert len(chosen) == min(num_points, rows * columns)
            margins = {True: [], False: []}
            for y in range(rows):
                for x in range(columns):
                    expected = before[:, y, x]
                    margins[(y, x) in chosen].append(margin_slowly(expected))
                    if (y, x) in chosen:
                        point = torch.tensor([(x + 0.5) / columns, (y + 0.5) / rows]).double()
                        expected = predict(point[None, None])[0, :, 0]
                    torch.testing.assert_close(step.logits[n, :, y, x], expected, rtol=0, atol=1e-6)
            # Ties at the border, where interpolation repeats pixels, may go either way.
            if margins[False]:
                assert max(margins[True]) <= min(margins[False]) + 1e-9
        previous = step.logits
    assert torch.equal(render(coarse, predict, subdivision), previous)


def test_one_step_by_hand() -> None:
    """Figure 4 of the paper in one row: a boundary between two pixels, two points spent on it."""
    coarse = torch.tensor([[[[-4.0, 4.0]]]])  # columns at x = 1/4 and 3/4
    steps = list(subdivide(coarse, lambda points: torch.full((1, 1, 2), 9.0), Subdivision(1, 2)))
    # Enlarged to 2 x 4: -4, -2, 2, 4 in both rows; the four inner pixels are equally uncertain.
    assert len(steps) == 1
    logits, points = steps[0].logits[0, 0], steps[0].points[0]
    assert logits[:, [0, 3]].tolist() == [[-4, 4], [-4, 4]]
    assert (logits == 9).sum() == 2
    assert set(points[:, 0].tolist()) <= {0.375, 0.625}
    assert set(points[:, 1].tolist()) <= {0.25, 0.75}


@pytest.mark.parametrize("margin", MARGINS.values(), ids=MARGINS)
def test_a_perfect_point_head_recovers_what_the_coarse_map_lost(margin) -> None:
    """A slanted edge: the coarse grid is jagged; asked at enough points, the edge is exact."""
    size = 64
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    truth = (x + 0.5 > 0.37 * (y + 0.5) + 20).long()[None]

    def predict(points: Tensor) -> Tensor:
        labels = label_sample(truth, points)
        return torch.stack([1 - labels, labels], dim=1).float() * 9

    coarse = torch.nn.functional.avg_pool2d(torch.stack([1 - truth, truth], dim=1).float(), 8)
    rendered = render(coarse, predict, Subdivision(3, 500, margin=margin)).argmax(1)
    enlarged = (
        render(coarse, predict, Subdivision(0)).repeat_interleave(8, 2).repeat_interleave(8, 3)
    )
    assert torch.equal(rendered, truth)
    assert (enlarged.argmax(1) != truth).float().mean() > 0.02


def test_a_step_reports_what_it_did() -> None:
    coarse = torch.randn(2, 3, 5, 4)
    calls = []

    def predict(points: Tensor) -> Tensor:
        calls.append(points)
        return torch.full((2, 3, points.shape[1]), 7.0)

    sizes = []
    for step in subdivide(coarse, predict, Subdivision(2, 11)):
        sizes.append(tuple(step.logits.shape))
        assert torch.equal(step.points, calls[-1])
        assert (
            step.logits.flatten(2).gather(2, step.indices[:, None].expand(-1, 3, -1)) == 7
        ).all()
    assert sizes == [(2, 3, 10, 8), (2, 3, 20, 16)]


def test_fewer_pixels_than_points() -> None:
    """A 1 x 1 coarse map has 4 pixels after a step: all are predicted (paper, sec. 3.1)."""
    counts = []

    def predict(points: Tensor) -> Tensor:
        counts.append(points.shape[1])
        return torch.zeros(points.shape[0], 2, points.shape[1])

    render(torch.randn(1, 2, 1, 1), predict, Subdivision(3, 10))
    assert counts == [4, 10, 10]


def test_no_regions() -> None:
    rendered = render(
        torch.zeros(0, 2, 7, 7), lambda p: torch.zeros(0, 2, p.shape[1]), Subdivision(5, 784)
    )
    assert rendered.shape == (0, 2, 224, 224)


def test_the_coarse_logits_are_not_changed() -> None:
    coarse = torch.randn(1, 2, 4, 4)
    before = coarse.clone()
    render(coarse, lambda p: torch.zeros(1, 2, p.shape[1]), Subdivision(1, 64))
    assert torch.equal(coarse, before)


def test_half_precision_is_kept() -> None:
    rendered = render(
        torch.randn(1, 2, 4, 4).bfloat16(),
        lambda p: torch.zeros(1, 2, p.shape[1]),
        Subdivision(2, 9),
    )
    assert rendered.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        (dict(steps=-1, num_points=3), "steps must be an integer >= 0, got -1"),
        (dict(steps=1, num_points=0), r"num_points \(N\) must be an integer >= 1, .*, got 0"),
        (
            dict(steps=1, num_points=3, scale_factor=1),
            "scale_factor must be an integer >= 2, got 1",
        ),
        (dict(steps=1.0, num_points=3), "steps must be an integer"),
        (dict(steps=True), "steps must be an integer >= 0, got True"),
        (dict(num_points="stride-8"), r"num_points \(N\) must be .*'stride-16', got 'stride-8'"),
        (dict(num_points=1.5), r"num_points \(N\) must be .* got 1.5"),
        (dict(max_margin=0.0), "max_margin must be > 0, got 0.0"),
        (dict(margin="logit"), r"margin must be a function \(N, K, ...\) -> .*, got 'logit'"),
    ],
)
def test_settings_out_of_range_are_named(settings_, message) -> None:
    with pytest.raises(ValueError, match=message):
        Subdivision(**settings_)


def test_rendering_can_be_exported() -> None:
    """The dense reference is made of exportable operations: no loop depends on the data."""

    class Renderer(torch.nn.Module):
        def forward(self, coarse: Tensor) -> Tensor:
            return render(coarse, lambda points: points.transpose(1, 2) * 3, Subdivision(2, 20))

    coarse = torch.randn(1, 2, 6, 5)
    exported = torch.export.export(Renderer(), (coarse,)).module()
    torch.testing.assert_close(exported(coarse), Renderer()(coarse))


def test_the_margin_decides_which_pixels_are_predicted() -> None:
    """Logits (6, 4, 4) on the left and (9, 8, -9) on the right: gaps of 2 and 1."""
    coarse = torch.tensor([[6.0, 9.0], [4.0, 8.0], [4.0, -9.0]])[None, :, None, :]

    def step_by(margin) -> Tensor:
        subdivision = Subdivision(1, 2, margin=margin)
        (step,) = subdivide(coarse, lambda p: torch.zeros(1, 3, p.shape[1]), subdivision)
        return step.points[..., 0]

    assert (step_by(logit_margin) > 0.5).all()
    assert (step_by(lambda logits: -logits[:, 2]) < 0.5).all()


@pytest.mark.parametrize(
    ("num_points", "count"), [(50, 50), ("stride-16", 8192), (0.25, 2**19), (1e-9, 1)]
)
def test_budgets_are_counted_on_the_last_grid(num_points, count) -> None:
    subdivision = Subdivision(steps=2, num_points=num_points)
    assert subdivision.grid_size((256, 512)) == (1024, 2048)
    assert subdivision.count_points((256, 512)) == count


def test_a_number_of_numpy_is_a_number() -> None:
    subdivision = Subdivision(np.int64(1), np.int32(3), np.int64(2))
    assert render(torch.zeros(1, 2, 4, 4), lambda p: p.mT, subdivision).shape == (1, 2, 8, 8)


@given(
    st.integers(0, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 99), st.integers(0, 99)
)
@settings(deadline=None, max_examples=60)
def test_most_uncertain_pixels_are_the_smallest_margins(regions, height, width, number, seed):
    margins = torch.rand(regions, height, width, generator=torch.Generator().manual_seed(seed))
    indices = most_uncertain_pixels(margins, number)
    expected = margins.flatten(1).sort(1).values[:, :number]
    assert torch.equal(margins.flatten(1).gather(1, indices), expected)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"coarse_logits must have shape \(N, K, h, w\), got \(2"):
        render(torch.zeros(2, 4, 4), lambda p: p, Subdivision(1, 3))
    with pytest.raises(ValueError, match=r"margins must have shape \(N, H, W\), got \(4, 4\)"):
        uncertain_pixels(torch.zeros(4, 4), 3)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 4), st.integers(2, 3), st.data())
@settings(deadline=None, max_examples=60)
def test_steps_that_are_left_out_leave_no_trace(
    height: int, width: int, steps: int, scale: int, data: st.DataObject
) -> None:
    """What is rendered is the last of all steps; and the first that is done is a full one."""
    num_points = data.draw(st.integers(1, 4 * height * width * scale**2))
    max_margin = data.draw(st.sampled_from([math.inf, 0.5]))
    subdivision = Subdivision(steps, num_points, scale, max_margin)
    coarse = torch.randn(2, 1, height, width, dtype=torch.double)

    def predict_points(points: Tensor) -> Tensor:
        return (9 * points).sin().sum(2, keepdim=True).mT

    every = list(subdivide(coarse, predict_points, subdivision))
    lasting = list(lasting_steps(coarse, predict_points, subdivision))
    full = subdivision.full_steps((height, width))
    assert len(lasting) == steps - max(0, full - 1)
    if full:
        assert lasting[0].indices.shape[1] == lasting[0].logits[0, 0].numel()
        assert max_margin == math.inf
    for one, same in zip(every[::-1], lasting[::-1], strict=False):
        torch.testing.assert_close(one.logits, same.logits)
    last = lasting[-1].logits if lasting else coarse
    torch.testing.assert_close(render(coarse, predict_points, subdivision), last)
