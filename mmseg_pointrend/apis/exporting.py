"""A config's model as a file that runs without this project."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.apis.tasks import refuse_instances
from mmseg_pointrend.export.agreement import Agreement, compare
from mmseg_pointrend.export.description import describe
from mmseg_pointrend.export.labels import GraphSettings, LabelGraph
from mmseg_pointrend.export.onnx_file import OPSET, OnnxModel, check_opset, write_onnx
from mmseg_pointrend.export.packages import require
from mmseg_pointrend.export.pictures import PictureFormat
from mmseg_pointrend.export.torch_file import check_ending, read_program, write_program
from mmseg_pointrend.export.tracing import Sizes, example, trace
from mmseg_pointrend.inference.palettes import class_names_of, palette_of

__all__ = ["Exported", "GraphSettings", "PictureFormat", "Sizes", "export"]

#: Formats and how their files end.
ENDINGS = {"onnx": ".onnx", "torch": ".pt2"}
#: (N, H, W) of the pictures on which an exported model is compared with torch.
_COMPARED = ((1, 192, 384), (2, 205, 275), (1, 131, 64), (1, 256, 97))


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        files: what was written, the model first.
        agreement: how its labels compare with those of torch.
    """

    files: list[Path]
    agreement: Agreement


def export(
    config_path: str | Path,
    checkpoint: str | Path,
    out: str | Path | None = None,
    format: str = "onnx",
    settings: GraphSettings | None = None,
    sizes: Sizes | None = None,
    opset: int = OPSET,
    external_data: bool = False,
    options: dict | None = None,
    allow_unset: bool = False,
    say: Callable[[str], None] = print,
) -> Exported:
    """Write a segmentor from pictures to labels, rendering included, as one file, and try it.

    Args:
        config_path: config file.
        checkpoint: weights.
        out: file to write; by default the config's name, in the current folder.
        format: "onnx", or "torch" for a program of `torch.export`.
        settings: what the model takes and gives.
        sizes: what is fixed of the pictures; nothing by default.
        opset: of ONNX: version of the operators.
        external_data: of ONNX: weights in a file of their own, beside the model's.
        options: dotted config keys and values that override the file.
        allow_unset: go on although the checkpoint leaves weights of the model at initial values.
        say: is told how far it is.

    Returns:
        what was written, and how its labels compare with those of torch, on made up pictures of
        several sizes.

    Raises:
        FileNotFoundError: if the config or the checkpoint does not exist.
        ImportError: without the packages that the format needs.
        ValueError: for settings out of range, a model that cannot be exported, or a file that
            cannot be written.
    """
    if format not in ENDINGS:
        raise ValueError(f"format must be one of {list(ENDINGS)}, got {format!r}")
    settings, sizes = settings or GraphSettings(), sizes or Sizes()
    path = Path(out or f"{Path(config_path).stem}{ENDINGS[format]}")
    if format == "onnx":
        require("onnx", "onnxscript", "onnxruntime")
        check_opset(opset)
    else:
        check_ending(path)
    _require_writable(path)
    config = prepare_config(config_path, options=options)
    refuse_instances(config, "exporting labels")
    model = load_model(config, checkpoint, "cpu", allow_unset)
    graph = LabelGraph(model, settings)
    with _told(say, "traced"):
        program = trace(graph, sizes)
    palette = palette_of(config, model.num_classes)
    names = class_names_of(config, model.num_classes)
    metadata = describe(graph, sizes, Path(config_path).stem, names, palette)
    with _told(say, "written"):
        if format == "onnx":
            files = write_onnx(program, path, graph.output_names, metadata, opset, external_data)
        else:
            files = write_program(program, path, metadata)
    with _told(say, "compared with torch"):
        exported = OnnxModel(path) if format == "onnx" else read_program(path)
        agreement = sum(
            (
                compare(graph, exported, example(graph, shape, seed))
                for seed, shape in enumerate(sizes.fit(_COMPARED))
            ),
            Agreement(),
        )
    say(agreement.describe())
    return Exported(files, agreement)


def _require_writable(path: Path) -> None:
    """Find out before minutes of work whether a file can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _told(say: Callable[[str], None], what: str) -> Iterator[None]:
    """Tell that something is done, and how long it took."""
    start = time.perf_counter()
    yield
    say(f"{what} in {time.perf_counter() - start:.1f} s")
