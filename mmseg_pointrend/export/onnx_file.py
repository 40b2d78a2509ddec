"""ONNX files: a traced graph written as one, and run by ONNX Runtime."""

import contextlib
import io
import logging
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from mmseg_pointrend.export.packages import require
from mmseg_pointrend.export.tracing import AXES

#: The last opset whose GridSample is called "bilinear". From 20 on the mode is "linear", which
#: TensorRT takes for "nearest", without a word (onnx-tensorrt, issue 1060).
OPSET = 18
#: Opsets that graphs can be written in: GridSample came with 16, and torch begins at 18.
OPSETS = range(18, 24)
#: Bytes of weights from which on they go into a file of their own: one of protobuf's holds 2 GiB.
_MOST_INSIDE = 1_800_000_000
#: Inputs by name, and their open axes: those of a graph that takes pictures.
PICTURES = {"pictures": AXES}


def write_onnx(
    program: ExportedProgram,
    path: str | Path,
    output_names: list[str],
    metadata: Mapping[str, str],
    opset: int = OPSET,
    external_data: bool = False,
    inputs: Mapping[str, Mapping[str, int]] = PICTURES,
) -> list[Path]:
    """Write a traced graph as an ONNX file that appears when it is complete.

    Args:
        program: takes what `inputs` names.
        path: where the file goes.
        output_names: of what the graph gives, in order.
        metadata: texts by their keys, for the file's `metadata_props`.
        opset: version of the operators.
        external_data: whether weights go into a file beside it, PATH.data; those of more than
            1.8 GB do in any case.
        inputs: names of what goes in, in order, and of the axes of each that may be open.

    Returns:
        the files that were written.

    Raises:
        ImportError: without onnx and onnxscript.
        ValueError: for an opset that there is none of.
        OSError: if the files cannot be written.
    """
    require("onnx", "onnxscript")
    check_opset(opset)
    path = Path(os.path.realpath(path))
    _require_folder(path)
    with _quiet():
        found = torch.onnx.export(
            program,
            input_names=list(inputs),
            output_names=output_names,
            opset_version=opset,
            dynamo=True,
        )
    assert found is not None  # as for any dynamo export
    model = found.model
    _name_axes(model, inputs)
    model.metadata_props.update(metadata)
    weights = sum(value.const_value.nbytes for value in model.graph.initializers.values())
    return _write(found, path, external_data or weights > _MOST_INSIDE)


def check_opset(opset: int) -> None:
    """Raise ValueError for an opset that graphs are not written in."""
    if opset not in OPSETS:
        raise ValueError(f"opset must be from {OPSETS.start} to {OPSETS.stop - 1}, got {opset}")


def _require_folder(path: Path) -> None:
    """Make the folder of a file, before minutes of work."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _name_axes(model: Any, inputs: Mapping[str, Mapping[str, int]]) -> None:
    """Name the open axes of what goes in, and those of what comes out that are the same."""
    names = {}
    for value, axes in zip(model.graph.inputs, inputs.values(), strict=True):
        for name, axis in axes.items():
            if not isinstance(value.shape[axis], int):
                names[str(value.shape[axis].value)] = name
                value.shape[axis] = name
    for output in model.graph.outputs:
        for axis, side in enumerate(output.shape):
            if not isinstance(side, int) and str(side.value) in names:
                output.shape[axis] = names[str(side.value)]


def _write(found: Any, path: Path, external: bool) -> list[Path]:
    """Write the files aside, in a folder of their own, and move them to where they belong."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        aside.mkdir(parents=True)
        found.save(aside / path.name, external_data=external)
        written = sorted(aside.iterdir(), reverse=True)  # weights before what refers to them
        for file in written:
            os.replace(file, path.with_name(file.name))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [path.with_name(file.name) for file in reversed(written)]


class OnnxModel:
    """An ONNX file, run by ONNX Runtime.

    Args:
        path: the file.
        threads: how many ONNX Runtime takes; all cores by default.
        providers: names of its execution providers, the first that works counts; its processor's
            by default.

    Raises:
        ImportError: without onnxruntime.
        ValueError: for a file that ONNX Runtime does not take.
    """

    def __init__(self, path: str | Path, threads: int = 0, providers: tuple[str, ...] = ()) -> None:
        (runtime,) = require("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.session = runtime.InferenceSession(
                str(path), options, providers=list(providers or ("CPUExecutionProvider",))
            )
        except Exception as error:  # of a type of its own for each reason
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"ONNX Runtime does not take {path}: {first}") from error

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Predict: what the graph gives for what it takes, in order; on the processor."""
        entries = zip(self.session.get_inputs(), inputs, strict=True)
        found = self.session.run(None, {e.name: values.cpu().numpy() for e, values in entries})
        return tuple(map(torch.from_numpy, found))

    @property
    def metadata(self) -> dict[str, str]:
        """Texts that the file holds besides the graph."""
        return dict(self.session.get_modelmeta().custom_metadata_map)


@contextlib.contextmanager
def _quiet():
    """Keep what torch and onnxscript print of their steps to themselves."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
