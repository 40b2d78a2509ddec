"""A config's model as a file that runs without this project."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
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
from mmseg_pointrend.export.quantization import quantize
from mmseg_pointrend.export.torch_file import check_ending, read_program, write_program
from mmseg_pointrend.export.tracing import Sizes, example, trace
from mmseg_pointrend.inference.inputs import find_pictures
from mmseg_pointrend.inference.palettes import class_names_of, palette_of
from mmseg_pointrend.inference.reading import Reader, test_pipeline

__all__ = ["Exported", "GraphSettings", "OnnxSettings", "PictureFormat", "Sizes", "export"]

#: Formats and how their files end.
ENDINGS = {"onnx": ".onnx", "torch": ".pt2", "page": ".html"}
#: (N, H, W) of the pictures on which an exported model is compared with torch.
_COMPARED = ((1, 192, 384), (2, 205, 275), (1, 131, 64), (1, 256, 97))
#: Pictures that 8 bits are calibrated on at most, evenly from all.
MOST_CALIBRATED = 64


@dataclass(frozen=True)
class OnnxSettings:
    """How an ONNX file is written.

    Attributes:
        opset: version of the operators.
        external_data: weights in a file of their own, beside the model's.
        calibrated_on: pictures (files, folders, patterns, lists of files) for 8 bits: then the
            network's convolutions compute in integers. At most `MOST_CALIBRATED` are read, as they
            are in their files.

    Raises:
        ValueError: for an opset that there is none of, or 8 bits with weights in another file.
    """

    opset: int = OPSET
    external_data: bool = False
    calibrated_on: Sequence[str | os.PathLike] = ()

    def __post_init__(self) -> None:
        check_opset(self.opset)
        if self.calibrated_on and self.external_data:
            raise ValueError("int8 needs the weights inside of the file: leave external_data out")


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
    onnx: OnnxSettings | None = None,
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
        onnx: of an ONNX file, or of that inside of a page.
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
    settings, sizes, onnx = settings or GraphSettings(), sizes or Sizes(), onnx or OnnxSettings()
    path = Path(out or f"{Path(config_path).stem}{ENDINGS[format]}")
    if format == "torch":
        check_ending(path)
    else:
        require("onnx", "onnxscript", "onnxruntime")
    calibration = _find_calibration(onnx, format, settings)
    _require_writable(path)
    if format == "page":
        check_page(settings, sizes)
        onnx = replace(onnx, external_data=False)  # a page is one file
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
                files = write_onnx(program, file, names, metadata, onnx.opset, onnx.external_data)
        if calibration:
            with _told(say, f"calibrated on {len(calibration)} pictures"):
                # A config of a model alone reads colours.
                has_data = config.get("test_dataloader") is not None
                pipeline = test_pipeline(config) if has_data else [dict(type="LoadImageFromFile")]
                reader = Reader(pipeline, whole=False)
                quantize(file, (_as_taken(graph, sizes, reader.load(one)) for one in calibration))
        with _told(say, "compared with torch"):
            exported = read_program(file) if format == "torch" else OnnxModel(file)
            agreement = _compare(graph, exported, sizes)
        if format == "page":
            files = write_page(file, path, metadata, in_browsers)
    say(agreement.describe())
    return Exported(files, agreement)


def _find_calibration(onnx: OnnxSettings, format: str, settings: GraphSettings) -> list[str]:
    """List the pictures that 8 bits are calibrated on."""
    if not onnx.calibrated_on:
        return []
    if format == "torch" or settings.pictures.normalized:
        raise ValueError(
            "int8 is for ONNX files that normalise pictures themselves: leave "
            + ("format='torch' out" if format == "torch" else "normalized out")
        )
    paths = [picture.path for picture in find_pictures(onnx.calibrated_on).pictures]
    count = min(MOST_CALIBRATED, len(paths))
    return [paths[number * len(paths) // count] for number in range(count)]


def _as_taken(graph: LabelGraph, sizes: Sizes, loaded: dict) -> Tensor:
    """Give a loaded picture the form in which a graph takes it, (N, C, H, W)."""
    pixels, size = np.atleast_3d(loaded["img"]), sizes.size
    if size is not None and pixels.shape[:2] != size:
        pixels = np.atleast_3d(cv2.resize(pixels, size[::-1]))
    if pixels.shape[2] == 3 and graph.settings.pictures.order == "rgb":
        pixels = pixels[..., ::-1]
    one = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    return one.to(graph.settings.pictures.dtype).repeat(sizes.batch or 1, 1, 1, 1)


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
