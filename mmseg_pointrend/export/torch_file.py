"""Programs of `torch.export` as files: they are run by torch, without this project."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from mmseg_pointrend.compat.whole_files import whole_file

#: Where a file holds the texts that describe it.
_METADATA = "metadata.json"


def write_program(
    program: ExportedProgram, path: str | Path, metadata: Mapping[str, str]
) -> list[Path]:
    """Write a program as a file that appears when it is complete.

    Args:
        program: as `tracing.trace` gives it.
        path: where the file goes; its ending is .pt2.
        metadata: texts by their keys.

    Returns:
        the one file.

    Raises:
        ValueError: for another ending, which `torch.export.load` would not take.
        OSError: if it cannot be written.
    """
    check_ending(path)
    with whole_file(path) as file:
        torch.export.save(program, file, extra_files={_METADATA: json.dumps(dict(metadata))})
    return [Path(path)]


def check_ending(path: str | Path) -> None:
    """Raise ValueError for a name of a file that `torch.export.load` would not take."""
    if Path(path).suffix != ".pt2":
        raise ValueError(f"a program of torch.export is a file *.pt2, got {path}")


def read_program(path: str | Path) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Read a program: a function from pictures to what the graph gives.

    Args:
        path: a file of `write_program`.
    """
    return torch.export.load(path).module()


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read the texts that describe a program.

    Args:
        path: a file of `write_program`.
    """
    extra = {_METADATA: ""}
    torch.export.load(path, extra_files=extra)
    return json.loads(extra[_METADATA])
