"""ONNX files, run by ONNX Runtime: the labels are those of torch."""

import json
from pathlib import Path

import onnx
import pytest
import torch
from torch.export import ExportedProgram

from mmseg_pointrend.export import packages
from mmseg_pointrend.export.agreement import Agreement, compare
from mmseg_pointrend.export.labels import GraphSettings, LabelGraph
from mmseg_pointrend.export.onnx_file import OnnxModel, write_onnx
from mmseg_pointrend.export.tracing import Sizes, example, trace
from tests.export.graphs import small_graph

#: (N, H, W); 105 pictures in all.
SHAPES = [
    (1, 64, 96), (4, 45, 61), (2, 131, 34), (30, 40, 56), (1, 192, 384), (37, 33, 47), (30, 64, 64),
]  # fmt: skip


def test_labels_are_those_of_torch(graph: LabelGraph, onnx_path: Path) -> None:
    exported, total = OnnxModel(onnx_path, threads=1), Agreement()
    for seed, shape in enumerate(SHAPES):
        pictures = example(graph, shape, seed)
        total += compare(graph, exported, pictures)
        with torch.no_grad():
            labels, confidence = graph(pictures)
        found = exported(pictures)
        assert found[0].dtype == labels.dtype and len(labels.unique()) == 5
        assert ((found[1] - confidence).abs() > 1e-3).float().mean() < 1e-3
    assert (total.pictures, total.sizes) == (105, 7)
    assert total.unexplained == 0, total.describe()
    assert total.differing < 1e-4 * total.pixels, total.describe()


def test_the_file_says_what_it_takes_and_gives(onnx_path: Path) -> None:
    model = onnx.load(onnx_path)
    onnx.checker.check_model(model)
    (opset,) = (entry.version for entry in model.opset_import if not entry.domain)
    assert opset == 18
    modes = {
        attribute.s
        for node in model.graph.node
        if node.op_type == "GridSample"
        for attribute in node.attribute
        if attribute.name == "mode"
    }
    assert modes == {b"bilinear"}  # "linear" is what TensorRT takes for nearest
    axes = [
        [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert axes == [["batch", 3, "height", "width"], *[["batch", "height", "width"]] * 2]
    assert [value.name for value in model.graph.output] == ["labels", "confidence"]
    assert OnnxModel(onnx_path).metadata["model"] == "small"


def test_one_logit_of_one_size_in_rounds_with_weights_apart(tmp_path: Path) -> None:
    graph = small_graph(GraphSettings(most_at_once=24), num_classes=2, out_channels=1)
    sizes = Sizes(batch=1, size=(48, 80))
    program = trace(graph, sizes)
    files = write_onnx(program, tmp_path / "model.onnx", ["labels"], {}, external_data=True)
    assert [file.name for file in files] == ["model.onnx", "model.onnx.data"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    exported = OnnxModel(files[0], threads=1)
    for seed in range(3):
        pictures = example(graph, (1, 48, 80), seed)
        assert compare(graph, exported, pictures).unexplained == 0
    lengths = top_k_lengths(onnx.load(files[0]))
    assert lengths == [24, 24, 16] * 2  # 64 points in each of two steps


def top_k_lengths(model: onnx.ModelProto) -> list[int]:
    """The k of each TopK, which are constants."""
    constants = {value.name: onnx.numpy_helper.to_array(value) for value in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = onnx.helper.get_node_attr_value(node, "value")
    found = [node.input[1] for node in model.graph.node if node.op_type == "TopK"]
    return [int(constants[name].reshape(-1)[0]) for name in found]


def test_an_opset_that_there_is_none_of(program: ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="opset must be from 18 to 23, got 11"):
        write_onnx(program, tmp_path / "model.onnx", ["labels"], {}, opset=11)


def test_a_folder_that_is_a_file(program: ExportedProgram, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="model.onnx"):
        write_onnx(program, tmp_path / "file/model.onnx", ["labels"], {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text(json.dumps("no model"))
    with pytest.raises(ValueError, match="ONNX Runtime does not take .*text.onnx"):
        OnnxModel(tmp_path / "text.onnx")


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packages.importlib.import_module("sys").modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"needs onnxscript: pip install .*\[export\]"):
        packages.require("onnx", "onnxscript")
