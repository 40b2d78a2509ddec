"""One model in each form in which it can be shipped: quality, time, memory, size of the file."""

import dataclasses
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS
from torch import Tensor

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.datasets.wrappers import innermost_datasets
from mmseg_pointrend.evaluation.functional import iou_per_class
from mmseg_pointrend.evaluation.measures import IoUMeasures, percent
from mmseg_pointrend.export.labels import GraphSettings, LabelGraph
from mmseg_pointrend.export.onnx_file import OnnxModel, write_onnx
from mmseg_pointrend.export.pictures import PictureFormat
from mmseg_pointrend.export.quantization import quantize
from mmseg_pointrend.export.torch_file import read_program, write_program
from mmseg_pointrend.export.tracing import Sizes, trace
from mmseg_pointrend.inference.network import NetworkSettings, prepare_network
from mmseg_pointrend.lab.benchmark.peak_memory import MIB, in_new_process, measure_peak
from mmseg_pointrend.lab.benchmark.settings import cpu_name
from mmseg_pointrend.lab.labelled_pictures import load_test, predict_item, true_labels

#: What this project runs: labels without the logits of every pixel.
PLAIN, FAST = "torch, as tools/predict.py", "torch, as tools/predict.py --fast"
#: All logits of every grid, as a graph has it.
GRAPH, COMPILED = "torch, the graph", "torch, the graph compiled"
PROGRAM, ONNX, INT8 = "torch.export", "ONNX Runtime", "ONNX Runtime, int8"
#: As pictures come from a test pipeline.
_PICTURES = PictureFormat(order="bgr")
#: An item of a data set -> (1, H, W) labels.
Predict = Callable[[dict], Tensor]


@dataclasses.dataclass(frozen=True)
class FormSettings:
    """What is measured.

    Attributes:
        config: config file of a segmentor; its data have labels.
        checkpoint: weights.
        pictures: of the test data, evenly from all; all by default.
        calibration: training pictures that 8 bits are calibrated on, evenly from all.
        threads: of each form.
        compile: measure the compiled graph, too; compiling takes minutes.
        memory: measure memory, each form in a process of its own.
        options: dotted config keys and values that override the file.

    Raises:
        ValueError: for a number below 1.
    """

    config: str
    checkpoint: str
    pictures: int | None = None
    calibration: int = 64
    threads: int = 1
    compile: bool = False
    memory: bool = True
    options: dict | None = None

    def __post_init__(self) -> None:
        for name in ("pictures", "calibration", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")


def compare_forms(settings: FormSettings, say: Callable[[str], None] = print) -> dict:
    """Predict test pictures by each form of a model, in turn.

    Args:
        settings: what is measured.
        say: is told how far it is.

    Returns:
        `settings`, `machine`, and `forms`: name -> `IoUMeasures` in percent, `different`, the share
        of labels that are not those of `PLAIN`, `ms`, the median of a picture, `peak_mib` and
        `file_mb`, where there are such.

    Raises:
        FileNotFoundError: if the config, the checkpoint or a data folder does not exist.
        ImportError: without the packages of the extra `export`.
        ValueError: for a model that is not exported, or pictures that its test pipeline resizes.
    """
    torch.set_num_threads(settings.threads)
    with tempfile.TemporaryDirectory() as folder:
        files = _write_files(settings, Path(folder), say)
        model, dataset = load_test(settings.config, settings.checkpoint, "cpu", settings.options)
        count = min(len(dataset), settings.pictures or len(dataset))
        numbers = [number * len(dataset) // count for number in range(count)]
        _check_size(dataset[numbers[0]])
        names = [PLAIN, FAST, GRAPH, *([COMPILED] if settings.compile else []), *files]
        forms = {name: load_form(name, settings, files) for name in names}
        say(f"{len(forms)} forms, {count} pictures")
        report = _measure(forms, dataset, numbers, model.decode_head.ignore_index)
        for name in names:
            size = files.get(name)
            if size is not None:
                report[name]["file_mb"] = round(size.stat().st_size / 1e6, 1)
            # What the compiler itself needs is not meant.
            if settings.memory and name != COMPILED:
                peak = in_new_process(_peak, name, settings, files, numbers[0])
                report[name]["peak_mib"] = round(peak / MIB)
    machine = f"{cpu_name()}, {settings.threads} thread(s), torch {torch.__version__}"
    return dict(settings=dataclasses.asdict(settings), machine=machine, forms=report)


def format_forms(report: dict) -> str:
    """Lay a report of `compare_forms` out as a table."""
    forms = report["forms"]
    plain = forms[PLAIN]
    qualities = [key for key in plain if key.endswith("mIoU") or "/mIoU" in key]
    titles = ["ms", "faster", "peak MiB", "file MB", "labels not =", *qualities]
    width = max(map(len, forms)) + 2
    lines = [report["machine"], "", " " * width + "".join(f"{title:>22}" for title in titles)]
    for name, found in forms.items():
        cells = [f"{found['ms']:.1f}", f"{plain['ms'] / found['ms']:.2f}x"]
        cells += [str(found.get(key, "-")) for key in ("peak_mib", "file_mb")]
        cells.append(f"{100 * found['different']:.3f} %")
        cells += [f"{found[key]:.2f}" for key in qualities]
        lines.append(name.ljust(width) + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)


def load_form(name: str, settings: FormSettings, files: dict[str, Path]) -> Predict:
    """Make what predicts an item by one form.

    Args:
        name: of the form.
        settings: what is measured.
        files: of the forms that are files.
    """
    if name in (ONNX, INT8):
        exported: Callable = OnnxModel(files[name], settings.threads)
    elif name == PROGRAM:
        exported = read_program(files[name])
    else:
        config = prepare_config(settings.config, options=settings.options)
        model = load_model(config, settings.checkpoint, "cpu")
        if name in (PLAIN, FAST):
            prepare_network(model, NetworkSettings(fast=name == FAST))
            return lambda item: predict_item(model, item)
        exported = LabelGraph(model, GraphSettings(_PICTURES))
        if name == COMPILED:
            exported = torch.compile(exported, dynamic=False)

    @torch.no_grad()
    def predict(item: dict) -> Tensor:
        found = exported(item["inputs"][None])
        # A program may give a list.
        return (found[0] if isinstance(found, tuple | list) else found).long()

    return predict


def _write_files(
    settings: FormSettings, folder: Path, say: Callable[[str], None]
) -> dict[str, Path]:
    """Export the model in every format."""
    config = prepare_config(settings.config, options=settings.options)
    model = load_model(config, settings.checkpoint, "cpu")
    graph = LabelGraph(model, GraphSettings(_PICTURES))
    say("exporting")
    program = trace(graph, Sizes(batch=1))
    files = {PROGRAM: folder / "model.pt2", ONNX: folder / "model.onnx", INT8: folder / "int8.onnx"}
    write_program(program, files[PROGRAM], {})
    write_onnx(program, files[ONNX], graph.output_names, {})
    shutil.copy(files[ONNX], files[INT8])
    dataset = _training_pictures(config)
    count = min(settings.calibration, len(dataset))
    say(f"calibrating 8 bits on {count} pictures")
    chosen = (dataset[number * len(dataset) // count]["inputs"][None] for number in range(count))
    quantize(files[INT8], chosen)
    return files


def _training_pictures(config: Config) -> Sequence[dict]:
    """Build the training data, read as test data are."""
    leaf = next(iter(innermost_datasets(config.train_dataloader.dataset)))
    test = next(iter(innermost_datasets(config.test_dataloader.dataset)))
    return DATASETS.build(dict(leaf, pipeline=test.pipeline))


def _check_size(item: dict) -> None:
    size, original = tuple(item["inputs"].shape[1:]), item["data_samples"].ori_shape[:2]
    if size != tuple(original):
        raise ValueError(
            f"an exported model sees pictures as they are, and this test pipeline makes {size} of "
            f"{tuple(original)}: leave its resizing out (test_dataloader.dataset.pipeline)"
        )


def _measure(
    forms: dict[str, Predict], dataset: BaseDataset, numbers: Sequence[int], ignore_index: int
) -> dict[str, dict]:
    """Count and time all forms, picture by picture."""
    measures = IoUMeasures(True, (2,), (0.02,), ignore_index)
    num_classes = len(dataset.metainfo["classes"])
    counts: dict[str, list[Tensor]] = {name: [] for name in forms}
    times: dict[str, list[float]] = {name: [] for name in forms}
    different, pixels = dict.fromkeys(forms, 0), 0
    # The first picture twice: the first time things are made that stay.
    for turn, number in enumerate([numbers[0], *numbers]):
        item, plain = dataset[number], None
        for name, predict in forms.items():
            start = time.perf_counter()
            labels = predict(item)
            spent = time.perf_counter() - start
            plain = labels if plain is None else plain
            if turn:
                times[name].append(1000 * spent)
                different[name] += int((labels != plain).sum())
                counts[name].append(measures.count([labels], true_labels(item), num_classes)[0])
        pixels += plain.numel() if turn else 0
    found = {}
    for name in forms:
        iou = iou_per_class(torch.stack(counts[name]).sum(0))
        found[name] = dict(zip(measures.names, map(percent, iou), strict=True)) | dict(
            ms=round(statistics.median(times[name]), 2), different=different[name] / pixels
        )
    return found


def _peak(name: str, settings: FormSettings, files: dict[str, Path], number: int) -> int:
    torch.set_num_threads(settings.threads)
    _, dataset = load_test(settings.config, settings.checkpoint, "cpu", settings.options)
    predict, item = load_form(name, settings, files), dataset[number]
    predict(item)
    return measure_peak(lambda: predict(item), torch.device("cpu"))
