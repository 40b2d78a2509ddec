"""Exporting takes seconds: what tests look at is exported once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope
from torch.export import ExportedProgram

from mmseg_pointrend.export.labels import GraphSettings, LabelGraph
from mmseg_pointrend.export.tracing import Sizes, trace
from tests.export.graphs import small_graph


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    """Types are mmsegmentation's, whatever other tests of this process have built."""
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


@pytest.fixture(scope="session")
def graph() -> LabelGraph:
    """Five classes, red first, integers, and the confidence."""
    return small_graph(GraphSettings(confidence=True), num_classes=5)


@pytest.fixture(scope="session")
def program(graph: LabelGraph) -> ExportedProgram:
    return trace(graph, Sizes())


@pytest.fixture(scope="session")
def onnx_path(
    graph: LabelGraph, program: ExportedProgram, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    from mmseg_pointrend.export.onnx_file import write_onnx

    path = tmp_path_factory.mktemp("export") / "model.onnx"
    write_onnx(program, path, graph.output_names, dict(model="small"))
    return path
