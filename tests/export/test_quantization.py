"""Convolutions in 8 bits: smaller, nearly the same labels, and all else as it was."""

import shutil
from pathlib import Path

import onnx
import pytest
import torch

from mmseg_pointrend.export.labels import LabelGraph
from mmseg_pointrend.export.onnx_file import OnnxModel
from mmseg_pointrend.export.quantization import quantize
from mmseg_pointrend.export.tracing import example

pytestmark = pytest.mark.slow


def kinds(path: Path) -> dict[str, list]:
    """Operators -> the nodes of a file that have them."""
    found: dict[str, list] = {}
    for node in onnx.load(path).graph.node:
        found.setdefault(node.op_type, []).append(node)
    return found


def test_labels_are_nearly_the_same(graph: LabelGraph, onnx_path: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(onnx_path, tmp_path / "small.onnx"))
    quantize(path, (example(graph, (1, 64, 96), seed) for seed in range(6)))
    assert [file.name for file in tmp_path.iterdir()] == ["small.onnx"]
    assert path.stat().st_size < 0.6 * onnx_path.stat().st_size
    before, after = OnnxModel(onnx_path), OnnxModel(path, threads=1)
    assert after.metadata == before.metadata
    # Random weights leave most pixels undecided; five classes agree on a fifth by chance.
    for seed, shape in enumerate([(1, 64, 96), (2, 45, 61)], 10):
        pictures = example(graph, shape, seed)
        with torch.no_grad():
            same = graph(pictures)[0] == after(pictures)[0]
        assert 0.5 < same.float().mean() < 1
    # Every convolution reads integers.
    plain, quantized = kinds(onnx_path), kinds(path)
    assert len(quantized["Conv"]) == len(plain["Conv"])
    made = {node.output[0] for node in quantized["DequantizeLinear"]}
    assert all({node.input[0], node.input[1]} <= made for node in quantized["Conv"])
    # The point head's own weights stay what they are.
    for name in ("Gemm", "MatMul"):
        assert not {node.input[1] for node in quantized.get(name, ())} & made


def test_no_picture(onnx_path: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(onnx_path, tmp_path / "small.onnx"))
    with pytest.raises(ValueError, match="pictures must be at least one"):
        quantize(path, [])
    assert path.read_bytes() == onnx_path.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["small.onnx"]
