"""One model in every way that its network can run in prediction, timed by turns."""

import dataclasses
import statistics
from pathlib import Path

import torch
from mmengine.config import Config

from mmseg_pointrend.inference.network import NetworkSettings, prepare_network
from mmseg_pointrend.lab.benchmark.benchmark import prepare_torch, time_works
from mmseg_pointrend.lab.benchmark.inputs import NUM_SCENES, Scenes
from mmseg_pointrend.lab.benchmark.models import build_models
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


def benchmark_network(settings: Settings) -> dict:
    """Time whole predictions of our model with its network run in each way, in turn.

    Args:
        settings: what to measure; with `compile` the compiled ways too.

    Returns:
        `settings` and `environment`; `ways`: for each the `seconds` of its runs, their `median`,
        that `until_logits` (backbone, neck and coarse head) and that `after_logits`, `different`,
        the share of labels that are not those of `PLAIN`, and `peak_memory` of a run, bytes.

    Raises:
        FileNotFoundError: if there is no such config or checkpoint.
        ValueError: for settings out of range, or that ask for something else.
    """
    for name in ("train", "amp", "count", "boxes", "tta"):
        if getattr(settings, name):
            raise ValueError(
                "versus='settings' times whole predictions of a segmentor, in each precision: "
                f"leave out {name}"
            )
    settings = complete_settings(settings)
    config = prepare_torch(settings)
    names = [*WAYS, *(COMPILED_WAYS if settings.compile else ())]
    works = {name: _build(name, settings, config) for name in names}
    different = _compare_labels(works, settings)
    runs = time_works(works, settings)
    report = dict(
        settings=dataclasses.asdict(settings),
        environment=describe_environment(settings),
        ways={name: _summarize(runs[name]) | dict(different=different[name]) for name in names},
    )
    for name in WAYS:
        # Of compiled ones the compiler's own memory is not meant.
        report["ways"][name]["peak_memory"] = (
            _peak(settings, name)
            if settings.torch_device.type == "cuda"
            else in_new_process(_peak, settings, name)
        )
    return report


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
        cells = [f"{1e3 * way[key]:.1f}" for key in ("until_logits", "after_logits", "median")]
        cells.append(f"{plain['median'] / way['median']:.2f}x")
        cells.append(f"{100 * way['different']:.4f} %")
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


def _compare_labels(works: dict[str, Prediction], settings: Settings) -> dict[str, float]:
    """Run every batch once; return the share of labels that are not those of the plain way."""
    different, pixels = dict.fromkeys(works, 0), 0
    for turn in range(min(NUM_SCENES, settings.repeat)):
        plain: list[torch.Tensor] = []
        for name, work in works.items():
            work.prepare(turn)
            found = [sample.pred_sem_seg.data for sample in work.run()]
            plain = plain or found
            different[name] += sum(
                int((one != other).sum()) for one, other in zip(plain, found, strict=True)
            )
        pixels += sum(labels.numel() for labels in plain)
    return {name: count / pixels for name, count in different.items()}


def _summarize(runs: list[dict[str, float]]) -> dict:
    network = [sum(run.get(stage, 0.0) for stage in NETWORK_STAGES) for run in runs]
    seconds = [sum(run.values()) for run in runs]
    after = [total - until for total, until in zip(seconds, network, strict=True)]
    return dict(
        seconds=seconds,
        median=statistics.median(seconds),
        until_logits=statistics.median(network),
        after_logits=statistics.median(after),
    )


def _peak(settings: Settings, name: str) -> int:
    work = _build(name, settings, prepare_torch(settings))
    work.prepare(0)
    work.run()
    return measure_peak(work.run, settings.torch_device)
