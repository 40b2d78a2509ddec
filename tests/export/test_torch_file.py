"""Programs of `torch.export`, saved and loaded."""

from pathlib import Path

import pytest
from torch.export import ExportedProgram

from mmseg_pointrend.export.agreement import compare
from mmseg_pointrend.export.labels import LabelGraph
from mmseg_pointrend.export.torch_file import read_metadata, read_program, write_program
from mmseg_pointrend.export.tracing import example


def test_labels_are_those_of_torch(
    graph: LabelGraph, program: ExportedProgram, tmp_path: Path
) -> None:
    (path,) = write_program(program, tmp_path / "model.pt2", dict(model="small"))
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt2"]
    assert read_metadata(path) == dict(model="small")
    exported = read_program(path)
    for seed, shape in enumerate([(1, 64, 96), (3, 45, 61), (2, 131, 34)]):
        assert compare(graph, exported, example(graph, shape, seed)).unexplained == 0


def test_the_ending_is_the_one_that_torch_takes(program: ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a file \*.pt2, got .*model.pth"):
        write_program(program, tmp_path / "model.pth", {})
