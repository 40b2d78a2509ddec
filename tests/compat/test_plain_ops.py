"""mmcv's `nms` and RoIAlign without a compiled mmcv, against their definitions in plain loops."""

import math
import sys
import types

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops import RoIAlign, batched_nms, nms
from torch import Tensor

from mmseg_pointrend.compat import nms as nms_module
from mmseg_pointrend.compat import plain_ops

SEEDS = st.integers(0, 2**16)


def keep_by_loops(boxes: Tensor, scores: Tensor, threshold: float, offset: int) -> list[int]:
    def area(box: Tensor) -> Tensor:
        return (box[2] - box[0] + offset) * (box[3] - box[1] + offset)

    keep: list[int] = []
    for index in scores.argsort(descending=True, stable=True).tolist():
        box = boxes[index]
        for other in boxes[keep]:
            low, high = torch.maximum(box[:2], other[:2]), torch.minimum(box[2:], other[2:])
            shared = (high - low + offset).clamp(min=0).prod()
            if shared / (area(box) + area(other) - shared) > threshold:
                break
        else:
            keep.append(index)
    return keep


def align_by_loops(maps: Tensor, boxes: Tensor, size: tuple[int, int], **settings) -> Tensor:
    height, width = maps.shape[2:]
    shift = 0.5 if settings["aligned"] else 0.0
    result = maps.new_zeros(len(boxes), maps.shape[1], *size)

    def sample(image: int, y: float, x: float) -> Tensor:
        if not (-1 <= y <= height and -1 <= x <= width):
            return maps.new_zeros(maps.shape[1])
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        down, across = y - top, x - left
        corner = maps[image]
        upper = corner[:, top, left] * (1 - across) + corner[:, top, right] * across
        lower = corner[:, bottom, left] * (1 - across) + corner[:, bottom, right] * across
        return upper * (1 - down) + lower * down

    for number, (image, *sides) in enumerate(boxes.tolist()):
        left, top, right, bottom = (side * settings["spatial_scale"] - shift for side in sides)
        sides = [bottom - top, right - left]
        if not settings["aligned"]:
            sides = [max(side, 1) for side in sides]
        ratio = settings["sampling_ratio"]
        counts = [ratio or math.ceil(side / bins) for side, bins in zip(sides, size, strict=True)]
        steps = [side / bins for side, bins in zip(sides, size, strict=True)]
        for i in range(size[0]):
            for j in range(size[1]):
                for a in range(counts[0]):
                    for b in range(counts[1]):
                        y = top + (i + (a + 0.5) / counts[0]) * steps[0]
                        x = left + (j + (b + 0.5) / counts[1]) * steps[1]
                        found = sample(int(image), y, x) / (counts[0] * counts[1])
                        result[number, :, i, j] += found
    return result


@settings(max_examples=40)
@given(SEEDS, st.integers(0, 40), st.sampled_from([0.0, 0.3, 0.7]), st.sampled_from([0, 1]))
def test_nms(seed: int, count: int, threshold: float, offset: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corners, sides = 20 * torch.rand(2, count, 2, generator=generator)
    boxes = torch.cat([corners, corners + sides * (sides > 2)], dim=1)
    scores = (8 * torch.rand(count, generator=generator)).round() / 8  # some are equal
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nms_module, "_BLOCK", 7)
        detections, keep = nms(boxes, scores, threshold, offset=offset)
    assert keep.tolist() == keep_by_loops(boxes, scores, threshold, offset)
    assert torch.equal(detections, torch.cat([boxes, scores[:, None]], dim=1)[keep])


def test_nms_of_many_boxes_of_classes() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60], [0, 0, 10, 10]])
    scores, classes = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 0, 0, 1])
    _, keep = batched_nms(boxes, scores, classes, dict(type="nms", iou_threshold=0.5))
    assert keep.tolist() == [0, 2, 3]


@settings(max_examples=40)
@given(
    SEEDS,
    st.tuples(st.integers(1, 13), st.integers(1, 13)),
    st.integers(0, 4),
    st.integers(0, 3),
    st.booleans(),
)
def test_roi_align(seed: int, size: tuple, count: int, ratio: int, aligned: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64, requires_grad=True)
    span = torch.tensor([size[1], size[0]]) * 4.0
    middles = (1.4 * torch.rand(count, 2, generator=generator) - 0.2) * span
    # Some without a size, or inside out.
    halves = (0.7 * torch.rand(count, 2, generator=generator) - 0.1) * span
    image = torch.randint(2, (count, 1), generator=generator)
    boxes = torch.cat([image, middles - halves, middles + halves], dim=1).double()
    sampling = dict(spatial_scale=0.25, sampling_ratio=ratio, aligned=aligned)
    found = RoIAlign((3, 2), **sampling)(maps, boxes)
    expected = align_by_loops(maps, boxes, (3, 2), **sampling)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    weights = torch.randn(found.shape, generator=generator, dtype=found.dtype)
    (gradient,) = torch.autograd.grad(found, maps, weights)
    if expected.grad_fn is None or not count:
        assert not gradient.any()
        return
    (expected,) = torch.autograd.grad(expected, maps, weights, allow_unused=True)
    expected = torch.zeros_like(gradient) if expected is None else expected
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("values", "box", "expected", "gradient"),
    [
        # The table in mmcv's documentation of the op: a bin of two by two samples.
        (
            [[1.0, 2.0], [3.0, 4.0]],
            [0.0, 0.0, 1.0, 1.0],
            [[1.0, 1.25], [1.5, 1.75]],
            [[3.0625, 0.4375], [0.4375, 0.0625]],
        ),
        (
            [[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0], [9.0, 10.0, 13.0, 14.0],
             [11.0, 12.0, 15.0, 16.0]],
            [0.0, 0.0, 3.0, 3.0],
            [[1.9375, 4.75], [7.5625, 10.375]],
            [[0.47265625, 0.42968750, 0.42968750, 0.04296875],
             [0.42968750, 0.39062500, 0.39062500, 0.03906250],
             [0.42968750, 0.39062500, 0.39062500, 0.03906250],
             [0.04296875, 0.03906250, 0.03906250, 0.00390625]],
        ),
    ],
)  # fmt: skip
def test_roi_align_by_a_table(values, box, expected, gradient) -> None:
    maps = torch.tensor([[values]], requires_grad=True)
    found = RoIAlign((2, 2), 1.0, 2, aligned=True)(maps, torch.tensor([[0.0, *box]]))
    assert found[0, 0].tolist() == expected
    found.sum().backward()
    torch.testing.assert_close(maps.grad[0, 0], torch.tensor(gradient))


def test_the_largest_of_a_bin_needs_a_compiled_mmcv() -> None:
    maps, boxes = torch.zeros(1, 1, 2, 2), torch.tensor([[0.0, 0.0, 0.0, 1.0, 1.0]])
    with pytest.raises(ValueError, match="pool_mode='max'; 'avg' works"):
        RoIAlign((2, 2), 1.0, pool_mode="max")(maps, boxes)


def test_torchvision_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ops are called with their own arguments, and differentiated."""
    ops = types.ModuleType("torchvision.ops")
    ops.nms = lambda boxes, scores, iou_threshold: torch.tensor([1])
    ops.roi_align = lambda maps, boxes, size, scale, ratio, aligned: (
        3 * maps[:, :, : size[0], : size[1]] + ratio
    )
    package = types.ModuleType("torchvision")
    package.ops = ops
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.ops", ops)
    plain_ops._torchvision_ops.cache_clear()
    try:
        boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2)
        assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5)[1].tolist() == [1]
        # It knows no offset.
        assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5, offset=1)[1].tolist() == [0]
        maps = torch.ones(1, 1, 2, 2, requires_grad=True)
        found = RoIAlign((2, 2), 1.0, 2)(maps, torch.tensor([[0.0, 0.0, 0.0, 1.0, 1.0]]))
        assert (found == 5).all()
        found.sum().backward()
        assert (maps.grad == 3).all()
    finally:
        plain_ops._torchvision_ops.cache_clear()
