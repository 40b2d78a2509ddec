"""One model in every way that its network can run in prediction, timed by turns."""

import dataclasses
import statistics
import tempfile
from pathlib import Path

import torch
from mmengine.config import Config
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_pointrend.inference.network import NetworkSettings, prepare_network
from mmseg_pointrend.lab.benchmark.benchmark import prepare_torch, time_works
from mmseg_pointrend.lab.benchmark.inputs import NUM_SCENES, Scenes
from mmseg_pointrend.lab.benchmark.models import build_models
from mmseg_pointrend.lab.benchmark.onnx_prediction import OnnxPrediction, write_for_benchmark
from mmseg_pointrend.lab.benchmark.peak_memory import MIB, in_new_process, measure_peak
from mmseg_pointrend.lab.benchmark.settings import (
    Settings,
    complete_settings,
    describe_environment,
)
from mmseg_pointrend.lab.benchmark.stages import StageClock
from mmseg_pointrend.lab.benchmark.workloads import NETWORK_STAGES, Prediction

#: What all others are compared with.
PLAIN = "as it is"
#: Maps in the order in which pictures come; our models choose another on a CPU.
CONTIGUOUS = "maps not channels-last"
WAYS = {
    PLAIN: NetworkSettings(),
    CONTIGUOUS: NetworkSettings(),
    "--fold": NetworkSettings(fold=True),
    "--amp": NetworkSettings(amp=True),
    "--amp --fold": NetworkSettings(amp=True, fold=True),
    "--half": NetworkSettings(half=True),
    "--half --fold": NetworkSettings(half=True, fold=True),
}
#: With `compile`: each takes minutes to compile.
COMPILED_WAYS = {
    "--compile": NetworkSettings(compile=True),
    "--compile --fold": NetworkSettings(compile=True, fold=True),
    "--compile --amp --fold": NetworkSettings(compile=True, amp=True, fold=True),
}
#: What `tools/export.py` writes, on a CPU.
ONNX = "ONNX Runtime"


def benchmark_network(settings: Settings) -> dict:
    """Time whole predictions of our model with its network run in each way, in turn.

    ONNX Runtime is one of them on a CPU, where labels are at the size of the input. It renders
    what the coarse head gives: with coarse logits that are made its labels are not compared.

    Args:
        settings: what to measure; with `compile` the compiled ways too.

    Returns:
        `settings` and `environment`; `ways`: for each the `seconds` of its runs, their `median`,
        that `until_logits` (backbone, neck and coarse head) and that `after_logits`, `different`,
        the share of labels that are not those of `PLAIN`, and `peak_memory` of a run, bytes; what
        a way cannot tell is missing.

    Raises:
        FileNotFoundError: if there is no such config or checkpoint.
        ImportError: on a CPU without the extra `export`.
        ValueError: for settings out of range, or that ask for something else.
    """
    for name in ("train", "amp", "count", "boxes", "tta"):
        if getattr(settings, name):
            raise ValueError(
                "versus='settings' times whole predictions of a segmentor, in each precision: "
                f"leave out {name}"
            )
    settings = complete_settings(settings)
    with tempfile.TemporaryDirectory() as folder:
        return _measure(settings, Path(folder) / "model.onnx")


def _measure(settings: Settings, file: Path) -> dict:
    config = prepare_torch(settings)
    names = [*WAYS, *(COMPILED_WAYS if settings.compile else ())]
    works: dict[str, Prediction | OnnxPrediction] = {
        name: _build(name, settings, config) for name in names
    }
    if _has_onnx(settings):
        alone = dataclasses.replace(settings, versus=None)
        write_for_benchmark(build_models(alone, config)["ours"], settings, file)
        works[ONNX] = _build_onnx(file, settings, config)
    different = _compare_labels(works, settings)
    runs = time_works(works, settings)
    ways = {name: _summarize(runs[name]) for name in works}
    for name, share in different.items():
        ways[name]["different"] = share
    on_gpu = settings.torch_device.type == "cuda"
    # Of compiled ones the compiler's own memory would be measured.
    for name in works.keys() - COMPILED_WAYS.keys():
        arguments = (settings, name, file)
        ways[name]["peak_memory"] = (
            _peak(*arguments) if on_gpu else in_new_process(_peak, *arguments)
        )
    return dict(
        settings=dataclasses.asdict(settings),
        environment=describe_environment(settings),
        ways=ways,
    )


def format_network(report: dict) -> str:
    """Lay a report of `benchmark_network` out as a table."""
    settings, environment = report["settings"], report["environment"]
    plain = report["ways"][PLAIN]
    lines = [
        f"Whole predictions, {Path(settings['config']).stem}",
        f"  {settings['batch']} image(s) of {'x'.join(map(str, settings['shape']))}, "
        f"{environment['device']}, {environment['threads']} thread(s), "
        f"torch {environment['torch']}",
        f"  {settings['repeat']} runs after {settings['warmup']} by turns, medians",
        "",
        "ms".ljust(26) + "".join(title.rjust(13) for title in (
            "to coarse", "after", "total", "faster", "labels not =", "peak MiB",
        )),
    ]  # fmt: skip
    for name, way in report["ways"].items():
        cells = [
            f"{1e3 * way[key]:.1f}" if key in way else "-"
            for key in ("until_logits", "after_logits", "median")
        ]
        cells.append(f"{plain['median'] / way['median']:.2f}x")
        cells.append(f"{100 * way['different']:.4f} %" if "different" in way else "-")
        cells.append(f"{way['peak_memory'] / MIB:.0f}" if "peak_memory" in way else "-")
        lines.append(name.ljust(26) + "".join(cell.rjust(13) for cell in cells))
    return "\n".join(lines)


def _build(name: str, settings: Settings, config: Config) -> Prediction:
    """Build our model, let its network run in one way, and make of it what is repeated."""
    order = "off" if name == CONTIGUOUS else settings.channels_last
    alone = dataclasses.replace(settings, versus=None, channels_last=order, compile=False)
    model = build_models(alone, config)["ours"]
    prepare_network(model, (WAYS | COMPILED_WAYS)[name])
    return Prediction(model, Scenes(alone, config), alone, StageClock(settings.torch_device))


def _has_onnx(settings: Settings) -> bool:
    """Tell whether there is a graph that does what the others do."""
    return settings.torch_device.type == "cpu" and settings.shape == settings.ori_shape


def _build_onnx(file: Path, settings: Settings, config: Config) -> OnnxPrediction:
    clock = StageClock(settings.torch_device)
    return OnnxPrediction(file, Scenes(settings, config), settings, clock)


def _compare_labels(
    works: dict[str, Prediction | OnnxPrediction], settings: Settings
) -> dict[str, float]:
    """Run every batch once; return the share of labels that are not those of the plain way."""
    compared = {
        name: work for name, work in works.items() if name != ONNX or settings.logits == "model"
    }
    different, pixels = dict.fromkeys(compared, 0), 0
    for turn in range(min(NUM_SCENES, settings.repeat)):
        labels = {}
        for name, work in compared.items():
            work.prepare(turn)
            labels[name] = _labels(work.run())
            different[name] += int((labels[name] != labels[PLAIN]).sum())
        pixels += labels[PLAIN].numel()
    return {name: count / pixels for name, count in different.items()}


def _labels(found: list[SegDataSample] | Tensor) -> Tensor:
    """Return (N, H, W) labels of either kind of work."""
    if isinstance(found, Tensor):
        return found
    return torch.cat([sample.pred_sem_seg.data for sample in found])


def _summarize(runs: list[dict[str, float]]) -> dict:
    seconds = [sum(run.values()) for run in runs]
    found = dict(seconds=seconds, median=statistics.median(seconds))
    if any(stage in runs[0] for stage in NETWORK_STAGES):
        network = [sum(run.get(stage, 0.0) for stage in NETWORK_STAGES) for run in runs]
        after = [total - until for total, until in zip(seconds, network, strict=True)]
        found |= dict(
            until_logits=statistics.median(network), after_logits=statistics.median(after)
        )
    return found


def _peak(settings: Settings, name: str, file: Path) -> int:
    config = prepare_torch(settings)
    work: Prediction | OnnxPrediction
    if name == ONNX:
        work = _build_onnx(file, settings, config)
    else:
        work = _build(name, settings, config)
    work.prepare(0)
    work.run()
    return measure_peak(work.run, settings.torch_device)
