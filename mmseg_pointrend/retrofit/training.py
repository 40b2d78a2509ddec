"""Training a retrofit's point head: seeded, resumable, and nothing else of it."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmseg_pointrend.core import TrainingPoints
from mmseg_pointrend.core.shapes import is_integer
from mmseg_pointrend.retrofit.batches import Batch, endless, mixed_seed
from mmseg_pointrend.retrofit.retrofit import Maps, Retrofit

#: Power of the learning rate's decline (DeepLab's "poly" policy, as in the paper's sec. 5).
_POLY_POWER = 0.9


@dataclass(frozen=True)
class TrainingSettings:
    """How a point head is trained.

    Attributes:
        iterations: batches that it is trained on.
        learning_rate: of AdamW, in the beginning; it rises to it in the first twentieth and falls
            to 0, by the power 0.9 of what is left.
        weight_decay: of AdamW.
        training_points: how many points of each image, and which.
        class_weights: weights of the classes in the loss; all alike by default.
        ignore_index: label of pixels that count in no loss.
        seed: what batches and points follow from.

    Raises:
        ValueError: for a setting out of range.
    """

    iterations: int = 1000
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    training_points: TrainingPoints = field(default_factory=TrainingPoints)
    class_weights: Sequence[float] | None = None
    ignore_index: int = 255
    seed: int = 0

    def __post_init__(self) -> None:
        if not is_integer(self.iterations) or self.iterations < 1:
            raise ValueError(f"iterations must be an integer >= 1, got {self.iterations!r}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must be >= 0, got {self.weight_decay}")
        if self.class_weights is not None and not all(w >= 0 for w in self.class_weights):
            raise ValueError(f"class_weights must be >= 0, got {list(self.class_weights)}")

    def rate(self, iteration: int) -> float:
        """Tell the learning rate of an iteration, from 0.

        Example:
            >>> settings = TrainingSettings(iterations=100, learning_rate=1.0)
            >>> [round(settings.rate(iteration), 2) for iteration in (0, 5, 50, 99)]
            [0.2, 0.95, 0.54, 0.02]
        """
        warm_up = max(1, self.iterations // 20)
        left = (1 - iteration / self.iterations) ** _POLY_POWER
        return self.learning_rate * left * min(1.0, (iteration + 1) / warm_up)


class TrainingStep(NamedTuple):
    """What one iteration did.

    Attributes:
        iteration: its number, from 1.
        loss: of the points.
        accuracy: share of the known points whose label was right.
    """

    iteration: int
    loss: float
    accuracy: float


class HeadTraining:
    """The training of a retrofit's point head.

    Batches and points follow from the seed and the iteration alone: a training that goes on from
    its `state_dict` is, on a CPU, to the bit the one that was not interrupted. The initial weights
    of the point head are drawn when it is built, so `torch.manual_seed` belongs before that.

    Args:
        model: on the device where it is to be trained.
        settings: how.

    Example:
        >>> network = torch.nn.Conv2d(3, 2, 4, stride=4)
        >>> read_maps = lambda network, images: (network(images), [images])
        >>> model = Retrofit(network, read_maps, torch.zeros(1, 3, 32, 32))
        >>> training = HeadTraining(model, TrainingSettings(iterations=2))
        >>> batches = [(torch.randn(2, 3, 32, 32), torch.randint(2, (2, 32, 32)))]
        >>> [step.iteration for step in training.steps(batches)]
        [1, 2]
    """

    def __init__(self, model: Retrofit, settings: TrainingSettings | None = None) -> None:
        self.model = model
        self.settings = settings or TrainingSettings()
        #: Iterations done.
        self.iteration = 0
        self.optimizer = torch.optim.AdamW(
            model.point_head.parameters(),
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
        )

    def run(
        self,
        batches: Iterable[Batch],
        report: Callable[[str], Any] | None = print,
        interval: int = 50,
    ) -> None:
        """Train to the end; the model is in evaluation mode then.

        Args:
            batches: see `steps`.
            report: is told the progress, a line every `interval` iterations; None for silence.
            interval: iterations between two lines.

        Raises:
            ValueError: see `steps`.
        """
        start, first = time.perf_counter(), self.iteration
        for step in self.steps(batches):
            done, last = step.iteration, self.settings.iterations
            if report is not None and (done % interval == 0 or done == last):
                spent = time.perf_counter() - start
                left = spent / (done - first) * (last - done)
                report(
                    f"iteration {done}/{last}  loss {step.loss:.4f}  "
                    f"points right {100 * step.accuracy:.1f} %  {spent:.0f} s, {left:.0f} s to go"
                )
        self.model.eval()

    def steps(self, batches: Iterable[Batch]) -> Iterator[TrainingStep]:
        """Train, iteration by iteration, from where the training is to the end.

        Between two of them `state_dict` may be saved.

        Args:
            batches: (N, 3, H, W) images, or their maps (`KeptMaps`), and (N, H', W') integer
                labels; see `batches.endless`.

        Yields:
            a record of each iteration.

        Raises:
            ValueError: for labels that are no class, shapes that do not fit, no batch at all, or a
                loss that is NaN or infinite.
        """
        source = endless(batches, self.iteration, self.settings.seed)
        while self.iteration < self.settings.iterations:
            batch = next(source)
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise ValueError(f"a batch must be (images, labels), got {type(batch).__name__}")
            self.model.train()
            if not self.iteration:
                device = next(self.model.point_head.parameters()).device
                self.model.measure_scales(batch[0].to(device))
            yield self._step(*batch)

    def _step(self, images: Tensor | Maps, labels: Tensor) -> TrainingStep:
        settings, device = self.settings, next(self.model.point_head.parameters()).device
        generator = torch.Generator(device)
        generator.manual_seed(mixed_seed(settings.seed, self.iteration))
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate(self.iteration)
        loss, accuracy = self.model.loss(
            images.to(device),
            labels.to(device),
            settings.training_points,
            settings.class_weights,
            settings.ignore_index,
            generator,
        )
        if not bool(loss.isfinite()):
            raise ValueError(
                f"the loss is {loss.item()} in iteration {self.iteration + 1}: the network's maps "
                "or the point head are not finite; a smaller learning_rate may help"
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.iteration += 1
        return TrainingStep(self.iteration, loss.item(), accuracy.item())

    def state_dict(self) -> dict[str, Any]:
        """Give all that the training needs to go on: point head, scales, optimizer, iteration.

        The network is not in it, as it does not change. `torch.load(weights_only=True)` reads it.
        """
        return dict(
            point_head=self.model.point_head.state_dict(),
            feature_scales=self.model.feature_scales.clone(),
            optimizer=self.optimizer.state_dict(),
            iteration=self.iteration,
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`.

        Raises:
            ValueError: for the state of something else.
        """
        missing = {"point_head", "feature_scales", "optimizer", "iteration"} - state.keys()
        if missing:
            raise ValueError(
                f"state lacks {sorted(missing)}: it is not the state of a HeadTraining"
            )
        self.model.point_head.load_state_dict(state["point_head"])
        self.model.feature_scales.copy_(state["feature_scales"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration = int(state["iteration"])
