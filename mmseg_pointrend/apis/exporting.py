"""A config's model as a file that runs without this project."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.apis.tasks import refuse_instances
from mmseg_pointrend.export.agreement import Agreement, compare
from mmseg_pointrend.export.description import describe
from mmseg_pointrend.export.labels import GraphSettings, LabelGraph
from mmseg_pointrend.export.onnx_file import OPSET, OnnxModel, check_opset, write_onnx
from mmseg_pointrend.export.packages import require
from mmseg_pointrend.export.page_file import check_page, fetch_runtime, read_runtime, write_page
from mmseg_pointrend.export.pictures import PictureFormat
from mmseg_pointrend.export.torch_file import check_ending, read_program, write_program
from mmseg_pointrend.export.tracing import Sizes, example, trace
from mmseg_pointrend.inference.palettes import class_names_of, palette_of

__all__ = ["Exported", "GraphSettings", "PictureFormat", "Sizes", "export"]

#: Formats and how their files end.
ENDINGS = {"onnx": ".onnx", "torch": ".pt2", "page": ".html"}
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
    runtime: str | Path | None = None,
    say: Callable[[str], None] = print,
) -> Exported:
    """Write a segmentor from pictures to labels, rendering included, as one file, and try it.

    Args:
        config_path: config file.
        checkpoint: weights.
        out: file to write; by default the config's name, in the current folder.
        format: "onnx", "torch" for a program of `torch.export`, or "page" for an HTML page that
            segments pictures in a browser.
        settings: what the model takes and gives.
        sizes: what is fixed of the pictures; nothing by default.
        opset: of ONNX: version of the operators.
        external_data: of ONNX: weights in a file of their own, beside the model's.
        options: dotted config keys and values that override the file.
        allow_unset: go on although the checkpoint leaves weights of the model at initial values.
        runtime: of a page: the folder of npm's onnxruntime-web; by default npm fetches it.
        say: is told how far it is.

    Returns:
        what was written, and how its labels compare with those of torch, on made up pictures of
        several sizes.

    Raises:
        FileNotFoundError: if the config or the checkpoint does not exist.
        ImportError: without the packages that the format needs.
        ConnectionError: if npm does not get what a page needs.
        ValueError: for settings out of range, a model that cannot be exported, or a file that
            cannot be written.
    """
    if format not in ENDINGS:
        raise ValueError(f"format must be one of {list(ENDINGS)}, got {format!r}")
    settings, sizes = settings or GraphSettings(), sizes or Sizes()
    path = Path(out or f"{Path(config_path).stem}{ENDINGS[format]}")
    if format == "torch":
        check_ending(path)
    else:
        require("onnx", "onnxscript", "onnxruntime")
        check_opset(opset)
    _require_writable(path)
    if format == "page":
        check_page(settings, sizes)
        external_data = False  # a page is one file
        in_browsers = read_runtime(runtime) if runtime else fetch_runtime()
    config = prepare_config(config_path, options=options)
    refuse_instances(config, "exporting labels")
    model = load_model(config, checkpoint, "cpu", allow_unset)
    graph = LabelGraph(model, settings)
    with _told(say, "traced"):
        program = trace(graph, sizes)
    palette = palette_of(config, model.num_classes)
    classes = class_names_of(config, model.num_classes)
    metadata = describe(graph, sizes, Path(config_path).stem, classes, palette)
    with tempfile.TemporaryDirectory() as folder:
        # What a page runs is an ONNX file.
        file = Path(folder, "model.onnx") if format == "page" else path
        with _told(say, "written"):
            if format == "torch":
                files = write_program(program, file, metadata)
            else:
                names = graph.output_names
                files = write_onnx(program, file, names, metadata, opset, external_data)
        with _told(say, "compared with torch"):
            exported = read_program(file) if format == "torch" else OnnxModel(file)
            agreement = _compare(graph, exported, sizes)
        if format == "page":
            files = write_page(file, path, metadata, in_browsers)
    say(agreement.describe())
    return Exported(files, agreement)


def _compare(
    graph: LabelGraph, exported: Callable[[Tensor], tuple[Tensor, ...]], sizes: Sizes
) -> Agreement:
    """Compare labels with those of torch on pictures of several sizes."""
    shapes = enumerate(sizes.fit(_COMPARED))
    found = (compare(graph, exported, example(graph, shape, seed)) for seed, shape in shapes)
    return sum(found, Agreement())


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
