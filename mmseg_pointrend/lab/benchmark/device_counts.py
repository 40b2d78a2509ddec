"""Count what a GPU would be asked to do by a model, stage by stage and beside another model.

Nothing is timed and no GPU is needed: see `counting.pretended_device`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial

import torch
from mmengine.config import Config
from torch import Tensor

from mmseg_pointrend.lab.benchmark.augmented import (
    AugmentedPrediction,
    build_augmented,
    feature_shapes,
)
from mmseg_pointrend.lab.benchmark.benchmark import describe_logits
from mmseg_pointrend.lab.benchmark.inputs import Scenes
from mmseg_pointrend.lab.benchmark.models import build_models
from mmseg_pointrend.lab.benchmark.settings import (
    Settings,
    complete_settings,
    load_model_config,
)
from mmseg_pointrend.lab.benchmark.stages import Stages
from mmseg_pointrend.lab.benchmark.workloads import (
    LABEL_STAGES,
    TrainingStep,
    Work,
    build_works,
    stages_of,
)
from mmseg_pointrend.lab.counting.compiled_storage import CompiledStorage, compiled_storage
from mmseg_pointrend.lab.counting.device_counter import DeviceCounter, DeviceWork
from mmseg_pointrend.lab.counting.pretended_device import DEVICE

STAGES_OF_VIEWS = ("coarse head", *LABEL_STAGES)
#: What is counted of a model: for each stage.
Counts = dict[str, DeviceWork]


class StageCounter(Stages):
    """Count the device's work in each stage, apart from that in the stages inside it.

    Args:
        counter: is entered while the stages run.

    Attributes:
        found: stage -> work since the last `reset`.
    """

    def __init__(self, counter: DeviceCounter) -> None:
        self.found: Counts = {}
        self._counter = counter
        self._names: list[str] = []

    def reset(self) -> None:
        """Forget what was counted."""
        self.found = {}
        self._counter.reset()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block under it."""
        self._close()
        self._names.append(name)
        try:
            yield
        finally:
            self._close()
            self._names.pop()

    def _close(self) -> None:
        """Give what was counted up to here to the stage that runs."""
        work = self._counter.take()
        if self._names:
            name = self._names[-1]
            self.found[name] = self.found.get(name, DeviceWork()) + work


def count_work(settings: Settings) -> dict:
    """Count the device's work in a prediction after the coarse logits, or in a training step.

    A training step is counted from the feature maps on, the gradients of which are its end: what
    comes before is the same in all models. So is the optimizer.

    Args:
        settings: what to count; only `config` is needed. The first scene is looked at.

    Returns:
        `settings`, `logits` in words, and `models`: for each its stages, and of each what
        `DeviceWork` holds. With `compile` also `compiled`: the `CompiledStorage` of our rendering.

    Raises:
        FileNotFoundError: if there is no such config or checkpoint.
        ValueError: for settings out of range, or that cannot be counted.
    """
    check_countable(settings)
    settings = complete_settings(settings)
    config = load_model_config(settings)
    counter = DeviceCounter()
    build = build_works
    if settings.tta:
        build = partial(build_augmented, shapes=feature_shapes(config, settings))
    with counter:
        works = build(
            replace(settings, device=str(DEVICE)), config, lambda _: StageCounter(counter)
        )
        models = {name: _count(work) for name, work in works.items()}
    report = dict(settings=asdict(settings), logits=describe_logits(settings), models=models)
    if settings.compile:
        report["compiled"] = asdict(_compile_rendering(settings, config))
    return report


def _compile_rendering(settings: Settings, config: Config) -> CompiledStorage:
    """Compile what makes labels of feature maps and coarse logits, the dense way, for the CPU."""
    settings = replace(settings, versus=None, compile=False)
    model, scenes = build_models(settings, config)["ours"], Scenes(settings, config)
    head = model.decode_head
    head.label_rendering = "dense"
    images, metas = scenes.images(0), [sample.metainfo for sample in scenes.samples(0)]
    with torch.no_grad():
        features = model.extract_feat(images)
        coarse = head.coarse_prediction(features)
    if settings.logits != "model":
        coarse = scenes.coarse_logits(0, coarse)

    def label(coarse: Tensor, *features: Tensor) -> list[Tensor]:
        return head.predict_labels(features, metas, settings.shape, coarse_logits=coarse)

    return compiled_storage(label, coarse, *features)


def check_countable(settings: Settings) -> None:
    """Refuse what cannot be counted.

    Raises:
        ValueError: naming it.
    """
    if settings.amp:
        raise ValueError("amp is not counted; leave it out of a count")
    if settings.compile and (settings.train or settings.tta or settings.boxes):
        raise ValueError(
            "of what is compiled the rendering of labels is counted: leave out compile"
        )
    if settings.device != "cpu":
        raise ValueError(f"a count needs no device={settings.device!r}: leave device out")


def _count(work: Work | AugmentedPrediction) -> dict[str, dict]:
    if isinstance(work, AugmentedPrediction):
        # Makes feature maps and coarse logits.
        work.run()
        work.clock.reset()
        work.run()
        return _counts(work.clock.found, STAGES_OF_VIEWS)
    work.prepare(0)
    if isinstance(work, TrainingStep):
        work.keep_features()
        work.clock.reset()
        loss = work.loss()
        with work.clock.stage("backward"):
            loss.backward()
    else:
        work.keep_coarse_logits()
        work.clock.reset()
        work.run()
    return _counts(work.clock.found, stages_of(work))


def _counts(found: Counts, stages: Sequence[str]) -> dict[str, dict]:
    return {stage: asdict(found[stage]) for stage in stages if stage in found}
