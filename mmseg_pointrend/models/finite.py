"""What a model computes that is not finite, named by the stage that made it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_pointrend.core.pieces import is_recorded


class NotFiniteError(ValueError):
    """NaN or infinity in what a model computes."""


def is_finite(values: Tensor) -> bool:
    """Whether no value is NaN or infinite.

    One sum tells, in a fraction of the time of a look at every value; only a sum that is not finite
    may also have overflowed by itself.
    """
    return math.isfinite(float(_sum(values))) or bool(values.isfinite().all())


def _sum(values: Tensor) -> Tensor:
    dtype = torch.promote_types(values.dtype, torch.float32)
    return values.detach().sum(dtype=dtype) if values.dim() else values.detach().to(dtype)


def _all_finite(sums: Sequence[Tensor]) -> bool:
    """Whether scalars are finite; they are asked for together."""
    return not sums or all(map(math.isfinite, torch.stack(list(sums)).tolist()))


class FinitePrediction:
    """Looks at the logits of a prediction: are they finite?

    On a CPU it looks as they come. An accelerator would have to be waited for each time, so there
    one look at the end tells about all of them; while a graph is recorded nothing can be looked at.

    Args:
        feature_maps: what the logits are made from; looked at only if the logits are not finite.
    """

    def __init__(self, feature_maps: Sequence[Tensor]) -> None:
        self._feature_maps = feature_maps
        self._unseen: list[tuple[str, Tensor, Tensor]] = []

    def look(self, stage: str, logits: Tensor) -> None:
        """Look at logits, any shape, that `stage` has made, now or in the end.

        Raises:
            NotFiniteError: naming the first stage that is not finite.
        """
        if is_recorded(logits.device):
            return
        if logits.device.type == "cpu":
            self._require(stage, logits)
        else:
            self._unseen.append((stage, logits, _sum(logits)))

    def finish(self) -> None:
        """Look at what has not been looked at.

        Raises:
            NotFiniteError: naming the first stage that is not finite.
        """
        unseen, self._unseen = self._unseen, []
        if not _all_finite([total for *_, total in unseen]):
            for stage, logits, _ in unseen:
                self._require(stage, logits)

    def _require(self, stage: str, logits: Tensor) -> None:
        if not is_finite(logits):
            raise NotFiniteError(
                f"{_first_stage(self._feature_maps, {stage: logits})}; weights of a training that "
                "has diverged do this, or half precision: take an earlier checkpoint, or float32"
            )


def require_finite_losses(
    losses: Mapping[str, Tensor], feature_maps: Sequence[Tensor], logits: Mapping[str, Tensor]
) -> None:
    """Raise an error if losses of a training are not finite.

    With logits in float16 nothing is raised: the loss scaler of mixed precision passes over such
    a step.

    Args:
        losses: by their names; what is no loss is finite.
        feature_maps: what the logits were made from.
        logits: by the stage that made them, in the order in which they were made.

    Raises:
        NotFiniteError: naming the loss, and the first stage that is not finite.
    """
    if any(values.dtype == torch.float16 for values in logits.values()):
        return
    # One look tells about all: an accelerator has to be waited for each time.
    if _all_finite([_sum(value) for value in losses.values()]):
        return
    broken = next((name for name, value in losses.items() if not is_finite(value)), None)
    if broken is not None:
        value, stage = float(losses[broken].detach().sum()), _first_stage(feature_maps, logits)
        raise NotFiniteError(
            f"loss {broken} is {value}: {stage}; lower the learning rate, or clip gradients "
            "(optim_wrapper.clip_grad=dict(max_norm=1.0))"
        )


@contextmanager
def naming_pictures(inputs: Tensor, samples: Sequence[SegDataSample]) -> Iterator[None]:
    """Let a `NotFiniteError` of this block name the pictures that were given.

    Args:
        inputs: (N, C, H, W), what the network was given.
        samples: N samples, which may know the pictures' paths.
    """
    try:
        yield
    except NotFiniteError as error:
        paths = [str(sample.metainfo.get("img_path", "without a path")) for sample in samples]
        broken = [path for image, path in zip(inputs, paths, strict=True) if not is_finite(image)]
        if broken:
            raise NotFiniteError(
                f"picture {broken[0]} holds NaN or infinity as the pipeline and the preprocessor "
                "leave it; replace such pixels in the file, or check mean and std"
            ) from error
        raise NotFiniteError(f"{error} (picture {', '.join(paths[:3])})") from error


def _first_stage(feature_maps: Sequence[Tensor], logits: Mapping[str, Tensor]) -> str:
    """Say which stage was the first to make something that is not finite."""
    maps = {f"feature map {index}": values for index, values in enumerate(feature_maps)}
    for stage, values in {**maps, **logits}.items():
        if isinstance(values, Tensor) and not is_finite(values):
            bad = int((~values.isfinite()).sum())
            before = "" if stage in maps else "; what they are made from is finite"
            return f"{stage}: {bad} of {values.numel()} values are NaN or infinite{before}"
    return "the logits are finite, so it is the loss that overflows"
