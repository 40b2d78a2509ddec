"""From finite logits comes nothing that is not finite, however large, equal or few they are."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmseg_pointrend.core import (
    MARGINS,
    TRAINING_STRATEGIES,
    Crop,
    Flip,
    Place,
    Resize,
    Subdivision,
    TrainingPoints,
    decide,
    render,
    render_labels,
    select_training_points,
)
from mmseg_pointrend.core.shapes import check_shape

#: How large logits may be: their differences must be numbers, too.
LARGEST = {torch.float32: 1e30, torch.float64: 1e300, torch.float16: 6e4, torch.bfloat16: 1e30}
CLASSES = [1, 2, 3, 20]


class NoNaN(TorchDispatchMode):
    """Fails at the first operator that makes NaN; memory that is not written yet is zero."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for value in found if isinstance(found, tuple | list) else [found]:
            if isinstance(value, Tensor) and value.is_floating_point():
                if "empty" in str(func):
                    value.zero_()
                assert not value.isnan().any(), func
        return found


@st.composite
def logits(draw: st.DrawFn, most_pixels: int = 60) -> Tensor:
    """Extreme, constant, tied, tiny and ordinary logits of all types, (N, K, h, w)."""
    classes = draw(st.sampled_from(CLASSES))
    height = draw(st.integers(1, 9))
    width = draw(st.integers(1, max(1, most_pixels // height)))
    shape = (draw(st.integers(1, 2)), classes, height, width)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    dtype = draw(st.sampled_from(list(LARGEST)))
    kind = draw(st.sampled_from(["extreme", "one extreme", "constant", "ties", "tiny", "random"]))
    values = torch.randn(shape, generator=generator, dtype=torch.double)
    if kind == "extreme":
        values = LARGEST[dtype] * values.sign()
    elif kind == "one extreme":
        values[0, -1, -1, -1] = -LARGEST[dtype]
    elif kind == "constant":
        values = torch.full_like(values, draw(st.sampled_from([0.0, 1.0, -LARGEST[dtype]])))
    elif kind == "ties":
        values = values.sign()
    elif kind == "tiny":
        values = values * 1e-40
    return values.to(dtype)


def point_head(coarse: Tensor) -> callable:
    """A point head that is as extreme as the logits: it reads any of them."""

    def predict(points: Tensor) -> Tensor:
        check_shape("points", points, "(N, P, 2)")
        assert points.isfinite().all() and (points >= 0).all() and (points <= 1).all()
        pixels = coarse.flatten(2)
        index = (points[..., 0] * 7919).long() % pixels.shape[2]
        return -pixels.gather(2, index[:, None].expand(-1, pixels.shape[1], -1))

    return predict


@given(data=st.data())
@settings(max_examples=15)
@pytest.mark.parametrize("strategy", TRAINING_STRATEGIES)
def test_training_points(strategy: str, data: st.DataObject) -> None:
    coarse = data.draw(logits())
    margin = data.draw(st.sampled_from(list(MARGINS.values())))
    settings = TrainingPoints(data.draw(st.integers(1, 40)), strategy)
    seed = data.draw(st.integers(0, 1000))
    with NoNaN():
        points, again = (
            select_training_points(coarse, settings, margin, torch.Generator().manual_seed(seed))
            for _ in range(2)
        )
    assert points.shape == (len(coarse), settings.num_points, 2)
    assert (points >= 0).all() and (points < 1).all()
    assert torch.equal(points, again)


@st.composite
def subdivisions(draw: st.DrawFn) -> Subdivision:
    return Subdivision(
        steps=draw(st.integers(0, 2)),
        num_points=draw(st.one_of(st.integers(1, 300), st.just(1.0), st.just("stride-16"))),
        scale_factor=draw(st.sampled_from([2, 3])),
        max_margin=draw(st.sampled_from([math.inf, math.inf, 0.5])),
        margin=draw(st.sampled_from(list(MARGINS.values()))),
    )


@given(coarse=logits(), subdivision=subdivisions())
@settings(max_examples=30)
def test_dense_rendering(coarse: Tensor, subdivision: Subdivision) -> None:
    with NoNaN():
        found, again = (render(coarse, point_head(coarse), subdivision) for _ in range(2))
        labels = decide(found)
    assert found.dtype == coarse.dtype and found.isfinite().all()
    assert torch.equal(found, again)
    assert (labels >= 0).all() and (labels < max(2, coarse.shape[1])).all()


@st.composite
def warps(draw: st.DrawFn, size: tuple[int, int]) -> list:
    """What may follow: smaller and larger pictures, one row or pixel, a part, mirrored, placed."""
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    return draw(
        st.sampled_from(
            [
                [],
                [Resize(height, width)],
                [Crop(size[0] - 1, 0, 1, size[1]), Flip("horizontal"), Resize(height, width)],
                [Place(torch.tensor([[-1.5, 2.0, 7.25, 11.0]]), height, width)],
            ]
        )
    )


@given(data=st.data())
@settings(max_examples=30)
@pytest.mark.parametrize("way", ["dense", "auto", "sparse"])
def test_label_rendering(way: str, data: st.DataObject) -> None:
    coarse, subdivision = data.draw(logits()), data.draw(subdivisions())
    after = data.draw(warps(subdivision.grid_size(tuple(coarse.shape[2:]))))

    def labels() -> list[Tensor]:
        head = point_head(coarse)
        return render_labels(coarse, head, subdivision, [after], way=way)

    with NoNaN():
        found, again = labels(), labels()
    for one, other in zip(found, again, strict=True):
        assert torch.equal(one, other)
        assert (one >= 0).all() and (one < max(2, coarse.shape[1])).all()


@pytest.mark.parametrize("way", ["dense", "sparse"])
@pytest.mark.parametrize("largest", [0.0, 1.0, 1e30])
def test_a_thousand_classes(way: str, largest: float) -> None:
    """Labels are those that the logits of the dense rendering decide; with ties, the first."""
    generator = torch.Generator().manual_seed(0)
    coarse = largest * torch.randn(1, 1000, 3, 4, generator=generator, dtype=torch.double)
    head, subdivision = point_head(coarse), Subdivision(2, 9)
    (labels,) = render_labels(coarse, head, subdivision, way=way)
    expected = decide(render(coarse, head, subdivision))[0]
    assert labels.dtype == torch.int16 and torch.equal(labels.long(), expected)


@pytest.mark.parametrize("name", MARGINS)
@pytest.mark.parametrize("dtype", LARGEST)
def test_margins_of_extremes(name: str, dtype: torch.dtype) -> None:
    """The largest difference is a number, and the least certain of all is 0."""
    extreme = torch.tensor([[[1.0, -1.0], [-1.0, -1.0]]], dtype=dtype) * LARGEST[dtype]
    far, equal = MARGINS[name](extreme)[0].tolist()
    assert far == (1 if name == "probability" else pytest.approx(2 * LARGEST[dtype], rel=0.01))
    assert equal == 0
    gaps = MARGINS[name].gap_at(torch.tensor([0.0, 0.5, 1.0, math.inf]), 1000)
    assert gaps[0] == 0 and (gaps.diff()[:2] > 0).all() and gaps[3] == math.inf


@pytest.mark.parametrize("box", [[3.0, 1.0, 3.0, 9.0], [2.5, 3.5, 2.5, 3.5], [0, 4, 9, 4]])
def test_a_box_without_an_area_covers_no_pixel(box: list[float]) -> None:
    place = Place(torch.tensor([box]), 8, 9)
    assert (place.apply(torch.ones(1, 2, 4, 4)) == 0).all()
    coarse = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)])[None]
    (labels,) = render_labels(coarse, point_head(coarse), Subdivision(1, 3), [[place]])
    assert (labels == 0).all()


def test_half_precision_is_placed_as_exactly_as_single() -> None:
    """Above 2048 the coordinates of half precision are whole pixels apart, and more."""
    place = Place(torch.tensor([[3000.25, 0.0, 3004.25, 1.0]]), 1, 4000)
    values = torch.arange(4.0).view(1, 1, 1, 4)
    torch.testing.assert_close(
        place.apply(values.half()).float(), place.apply(values), atol=2e-3, rtol=0
    )
