"""What a benchmark repeats: a prediction or a training step, and the stages it is made of."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_pointrend.inference.network import compile_network
from mmseg_pointrend.lab.benchmark.inputs import Scenes
from mmseg_pointrend.lab.benchmark.models import (
    build_models,
    coarse_head_of,
    has_point_head,
    replace_output,
    with_picture,
)
from mmseg_pointrend.lab.benchmark.settings import Settings
from mmseg_pointrend.lab.benchmark.stages import Stages

#: The network proper, before there are coarse logits.
NETWORK_STAGES = ("backbone", "neck", "coarse head")
#: What follows in a prediction.
LABEL_STAGES = ("rendering", "post-processing")
#: What follows in a training step.
TRAINING_STAGES = ("points and losses", "backward", "optimizer")


class Prediction:
    """Predict the labels of a batch of scenes.

    Of "rendering" and "post-processing" the first is what the point head's side does with coarse
    logits (ours renders labels at the original size, mmsegmentation logits at the input's), the
    second all else: resizes, decisions, samples.

    Args:
        model: any model of `build_models`; changed, so that its stages can be measured.
        scenes: what it is given.
        settings: complete ones.
        clock: is told of the stages.
    """

    def __init__(self, model: nn.Module, scenes: Scenes, settings: Settings, clock: Stages) -> None:
        self.model, self.clock = model, clock
        self._scenes, self._settings, self._turn = scenes, settings, 0
        if settings.compile:
            compile_network(model)
        watch_prediction(model, scenes, settings, clock, lambda: self._turn)
        _wrap_features(model, clock)

    def prepare(self, turn: int) -> None:
        """Put a batch's images and samples in place; not measured."""
        self._turn = turn
        self._images, self._samples = self._scenes.images(turn), self._scenes.samples(turn)

    def run(self) -> list[SegDataSample]:
        """Predict the batch that is in place."""
        with self.clock.stage("post-processing"), torch.no_grad(), self._precision():
            return self.model(self._images, self._samples, mode="predict")

    def _precision(self) -> AbstractContextManager:
        device = self._settings.torch_device
        return torch.autocast(device.type) if self._settings.amp else nullcontext()

    def keep_coarse_logits(self) -> None:
        """From now on, start from this batch's feature maps and coarse logits."""
        kept = {}
        model, coarse_head = self.model, coarse_head_of(self.model)
        _keep_output(model, "extract_feat", kept)
        _keep_output(coarse_head, "forward", kept)
        self.run()
        model.extract_feat = lambda *_, **__: kept["extract_feat"]
        coarse_head.forward = lambda *_, **__: kept["forward"]


class TrainingStep:
    """Train on a batch of scenes, with the optimizer of the config.

    Args:
        model: any model of `build_models`; changed, so that its stages can be measured.
        scenes: what it is given.
        settings: complete ones.
        clock: is told of the stages.
        config: the whole config.
    """

    def __init__(
        self,
        model: nn.Module,
        scenes: Scenes,
        settings: Settings,
        clock: Stages,
        config: Config,
    ) -> None:
        self.model, self.clock = model, clock
        self._scenes = scenes
        self._optimizer = build_optim_wrapper(model, config.optim_wrapper)
        if settings.compile:
            compile_network(model)
        clock.wrap(coarse_head_of(model), "forward", "coarse head")
        _wrap_features(model, clock)
        clock.wrap(self._optimizer, "backward", "backward")

    def prepare(self, turn: int) -> None:
        """Put a batch's images and labels in place; not measured."""
        self._images, self._samples = self._scenes.images(turn), self._scenes.samples(turn)

    def run(self) -> Tensor:
        """Do one step; return the loss."""
        with self._optimizer.optim_context(self.model):
            loss = self.loss()
        with self.clock.stage("optimizer"):
            self._optimizer.update_params(loss)
        return loss.detach()

    def loss(self) -> Tensor:
        """Compute the loss of the batch that is in place."""
        with self.clock.stage("points and losses"):
            return self.model.parse_losses(self.model(self._images, self._samples, mode="loss"))[0]

    def keep_features(self) -> None:
        """From now on, start from this batch's feature maps, which have gradients of their own."""
        with torch.no_grad():
            features = self.model.extract_feat(self._images)
        self.model.extract_feat = lambda images: with_picture(
            self.model, [f.detach().requires_grad_() for f in features], images
        )


Work = Prediction | TrainingStep


def build_works(
    settings: Settings, config: Config, make_clock: Callable[[torch.device], Stages]
) -> dict[str, Work]:
    """Build the models that are asked for, and what is repeated with each.

    Args:
        settings: complete ones.
        config: the whole config.
        make_clock: makes what is told of the stages of one of them.

    Returns:
        "ours" and, if one is asked for, "upstream" or "coarse".

    Raises:
        ValueError: as `build_models`.
    """
    scenes = Scenes(settings, config)
    works: dict[str, Work] = {}
    for name, model in build_models(settings, config).items():
        clock = make_clock(settings.torch_device)
        if settings.train:
            works[name] = TrainingStep(model, scenes, settings, clock, config)
        else:
            works[name] = Prediction(model, scenes, settings, clock)
    return works


def watch_prediction(
    model: nn.Module,
    scenes: Scenes,
    settings: Settings,
    clock: Stages,
    turn: Callable[[], int] = lambda: 0,
) -> None:
    """Tell a clock of the heads of a model, and put scenes in the place of what it finds.

    Args:
        model: any model of `build_models`; changed.
        scenes: give the coarse logits, where the settings do not ask for the model's.
        settings: complete ones.
        clock: is told of the stages.
        turn: tells which batch of scenes it is.
    """
    coarse_head = coarse_head_of(model)
    clock.wrap(coarse_head, "forward", "coarse head")
    if settings.logits != "model":
        replace_output(coarse_head, lambda found: scenes.coarse_logits(turn(), found))
    if has_point_head(model):
        head = model.decode_head
        renderer = head[-1] if isinstance(head, nn.ModuleList) else head
        for method in ("predict", "predict_labels", "predict_logits", "forward"):
            clock.wrap(renderer, method, "rendering")


def stages_of(work: Work) -> tuple[str, ...]:
    """List the stages of a piece of work in the order in which they run."""
    last = TRAINING_STAGES if isinstance(work, TrainingStep) else LABEL_STAGES
    return (*NETWORK_STAGES, *last)


def _wrap_features(model: nn.Module, clock: Stages) -> None:
    clock.wrap(model.backbone, "forward", "backbone")
    if model.with_neck:
        clock.wrap(model.neck, "forward", "neck")
    # What surrounds the two: our model lays the images out anew.
    clock.wrap(model, "extract_feat", "backbone")


def _keep_output(owner: nn.Module, method: str, kept: dict) -> None:
    function: Callable = getattr(owner, method)

    def keep(*args: object, **kwargs: object) -> object:
        kept[method] = function(*args, **kwargs)
        return kept[method]

    setattr(owner, method, keep)
