"""The mask branch of a detector, exported: its masks are those of the detector's own."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mmseg_pointrend.export.masks import MaskGraph, example_boxes, trace_masks
from mmseg_pointrend.export.onnx_file import OnnxModel, write_onnx
from mmseg_pointrend.export.torch_file import read_program, write_program
from mmseg_pointrend.instance.mask_head import Boxes
from tests.instance.heads import STRIDES, build_ours

SHAPES = [((64, 96), 5), ((131, 77), 1), ((203, 274), 20)]


def predicted(graph: MaskGraph, maps: list[Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
    """What the mask head itself renders."""
    head, inputs = graph.head, [torch.empty(0)] * len(STRIDES)
    for index, values in zip(graph.strides, maps, strict=True):
        inputs[index] = values
    rois = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], dim=1)
    found = head.predict(head.prepare(inputs), Boxes(rois, labels, STRIDES), count=3)
    return torch.cat([masks.probabilities for masks in found])


def same(found: Tensor, expected: Tensor) -> bool:
    """Equal but for pixels of which rounding decides whether a step chooses them."""
    assert found.shape == expected.shape
    return float(((found - expected).abs() > 1e-4).float().mean()) < 1e-3


@pytest.fixture(scope="module")
def graph() -> MaskGraph:
    return MaskGraph(build_ours().mask_head, STRIDES)


@pytest.mark.parametrize(
    "settings",
    [
        dict(),
        dict(class_agnostic=True),
        dict(point_head=dict(in_channels=[16, 16], in_index=[0, 1], channels=24)),
        dict(subdivision=dict(num_points=100)),
    ],
    ids=str,
)
@torch.no_grad()
def test_masks_are_those_of_the_head(settings: dict) -> None:
    graph = MaskGraph(build_ours(**settings).mask_head, STRIDES)
    for size, count in SHAPES:
        inputs = example_boxes(graph, size, count)
        (masks,) = graph(*inputs)
        assert (
            masks.shape == (count, 224, 224) and 0.01 < float((masks > 0.5).float().mean()) < 0.99
        )
        assert same(masks, predicted(graph, *inputs))


@pytest.mark.slow
def test_files_give_the_same_masks(graph: MaskGraph, tmp_path: Path) -> None:
    program = trace_masks(graph)
    (path,) = write_onnx(program, tmp_path / "masks.onnx", ["masks"], {}, inputs=graph.inputs)
    onnx = OnnxModel(path, threads=1)
    names = [[*entry.shape] for entry in onnx.session.get_inputs()]
    assert names == [[1, 16, "height0", "width0"], ["count", 4], ["count"]]
    (path,) = write_program(program, tmp_path / "masks.pt2", {})
    loaded = read_program(path)
    for size, count in SHAPES:
        maps, boxes, labels = example_boxes(graph, size, count, seed=1)
        expected = predicted(graph, maps, boxes, labels)
        assert same(onnx(*maps, boxes, labels)[0], expected)
        assert same(loaded(maps, boxes, labels)[0], expected)


def test_another_head_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear has no coarse_head: what is exported is PointR"):
        MaskGraph(nn.Linear(1, 1), STRIDES)
