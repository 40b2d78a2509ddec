"""Measure how fast a config's model is, where its time goes, and how much memory it needs."""

import dataclasses
import statistics
from collections.abc import Mapping

import torch
from mmengine.config import Config

from mmseg_pointrend.lab.benchmark.inputs import NUM_SCENES
from mmseg_pointrend.lab.benchmark.label_agreement import compare_labels
from mmseg_pointrend.lab.benchmark.peak_memory import (
    describe_measurement,
    in_new_process,
    measure_peak,
)
from mmseg_pointrend.lab.benchmark.settings import (
    Settings,
    complete_settings,
    describe_environment,
    load_model_config,
)
from mmseg_pointrend.lab.benchmark.stages import StageClock
from mmseg_pointrend.lab.benchmark.workloads import (
    NETWORK_STAGES,
    Work,
    build_works,
    stages_of,
)


def benchmark(settings: Settings) -> dict:
    """Measure a model, and beside it another one, run by run in turn.

    Args:
        settings: what to measure; only `config` is needed.

    Returns:
        `settings` and `environment`; `weights` and `logits` in words; `models`: for each the runs
        (`seconds`, raw, by stage and in total), their `median` and `quartiles`, `images_per_second`
        and `peak_memory` (bytes); and with `versus`: `ratios` of medians, the other model's to
        ours, and for "upstream" in prediction `labels`, how many differ.

    Raises:
        FileNotFoundError: if there is no such config or checkpoint.
        ValueError: for settings out of range, or a config that does not fit them.
    """
    settings = complete_settings(settings)
    config = prepare_torch(settings)
    works = build_works(settings, config, StageClock)
    # Makes the coarse logits, too.
    labels = _first_runs(works, settings)
    runs = time_works(works, settings)
    report = dict(
        settings=dataclasses.asdict(settings),
        environment=describe_environment(settings),
        weights=_describe_weights(settings),
        logits=describe_logits(settings),
        scenes=min(NUM_SCENES, settings.repeat),
        memory_is=describe_measurement(settings.torch_device),
        models={name: _summarize(runs[name], works[name], settings) for name in works},
    )
    for name in works:
        report["models"][name]["peak_memory"] = _measure_memory(settings, name, works[name])
    if settings.versus is not None:
        report["ratios"] = _ratios(*report["models"].values())
    if labels is not None:
        report["labels"] = labels
    return report


def prepare_torch(settings: Settings) -> Config:
    """Set torch up as the settings and the config say; return the config."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    config = load_model_config(settings)
    # As mmengine's runner does.
    if config.get("env_cfg", {}).get("cudnn_benchmark"):
        torch.backends.cudnn.benchmark = True
    return config


def _first_runs(works: dict[str, Work], settings: Settings) -> dict | None:
    """Run every batch once; compare the labels of ours and mmsegmentation's."""
    found = []
    for turn in range(min(NUM_SCENES, settings.repeat)):
        results = {}
        for name, work in works.items():
            work.prepare(turn)
            results[name] = work.run()
        if settings.versus == "upstream" and not settings.train:
            found.append(compare_labels(results["ours"], results["upstream"]))
    if not found:
        return None
    pixels, different = (sum(part[key] for part in found) for key in ("pixels", "different"))
    return dict(
        pixels=pixels,
        different=different,
        share=different / pixels,
        largest_margin=max(part["largest_margin"] for part in found),
    )


def time_works(works: Mapping[str, Work], settings: Settings) -> dict[str, list[dict[str, float]]]:
    """Run all models in turn, and who is first in turn as well."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in works}
    for number in range(-settings.warmup, settings.repeat):
        turn = number % min(NUM_SCENES, settings.repeat)
        for name in list(works)[:: 1 if number % 2 else -1]:
            work = works[name]
            work.prepare(turn)
            work.clock.reset()
            work.run()
            if number >= 0:
                runs[name].append(dict(work.clock.seconds))
    return runs


def _summarize(runs: list[dict[str, float]], work: Work, settings: Settings) -> dict:
    seconds = {stage: [run[stage] for run in runs] for stage in stages_of(work) if stage in runs[0]}
    network = [sum(run.get(stage, 0.0) for stage in NETWORK_STAGES) for run in runs]
    total = [sum(run.values()) for run in runs]
    if not settings.train:
        seconds["after the coarse logits"] = [t - n for t, n in zip(total, network, strict=True)]
        seconds["until the coarse logits"] = network
    seconds["total"] = total
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return dict(
        seconds=seconds,
        median=median,
        quartiles={name: _quartiles(values) for name, values in seconds.items()},
        images_per_second=settings.batch / median["total"],
    )


def _quartiles(values: list[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper


def _ratios(ours: dict, other: dict) -> dict[str, float]:
    return {
        name: other["median"][name] / value
        for name, value in ours["median"].items()
        if name in other["median"] and value > 0
    }


def _measure_memory(settings: Settings, name: str, work: Work) -> dict[str, int]:
    """Measure a run, and of a prediction also what follows the coarse logits."""
    parts = ["total"] if settings.train else ["total", "after the coarse logits"]
    if settings.torch_device.type == "cuda":
        return {part: _peak(work, part, settings) for part in parts}
    return {part: in_new_process(_peak_in_process, settings, name, part) for part in parts}


def _peak_in_process(settings: Settings, name: str, part: str) -> int:
    # What the compiler itself needs is not meant.
    settings = dataclasses.replace(settings, compile=False)
    works = build_works(settings, prepare_torch(settings), StageClock)
    return _peak(works.pop(name), part, settings)


def _peak(work: Work, part: str, settings: Settings) -> int:
    work.prepare(0)
    if part == "total":
        # A first run loads code, makes the coarse logits and the optimizer's state.
        work.run()
    else:
        work.keep_coarse_logits()
        work.run()
    return measure_peak(work.run, settings.torch_device)


def _describe_weights(settings: Settings) -> str:
    return settings.checkpoint or "random"


def describe_logits(settings: Settings) -> str:
    """Say in words which coarse logits are rendered."""
    return {
        "scenes": "made from generated scenes, as a trained network gives them",
        "random": "random numbers, which leave every pixel uncertain: the worst case",
        "model": "as the coarse head gives them"
        + (" with random weights" if settings.checkpoint is None else ""),
    }[settings.logits]
