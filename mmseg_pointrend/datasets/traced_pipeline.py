"""A test pipeline that records how to undo what its steps did to the place of pixels."""

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import Compose as NestedPipeline
from mmcv.transforms import RandomApply, RandomChoice, TestTimeAug
from mmengine.dataset import Compose

from mmseg_pointrend.compat.upstream_transforms import Effect, effect_of, not_undone
from mmseg_pointrend.core import Crop, Flip, Resize, Step
from mmseg_pointrend.datasets.probe import SHORTEST_SIDE, probe
from mmseg_pointrend.datasets.wrappers import innermost_datasets, mixing_wrappers

Size = tuple[int, int]
Transform = Callable[[dict], dict | None]

_WHAT_IS_UNDONE = (
    "Predictions are brought back to the picture after Resize, Pad and RandomFlip; a transform of "
    "your own may set results['undo'] to the steps that undo it (mmseg_pointrend.core: Crop, Flip, "
    "Resize)"
)


class TracedPipeline(Compose):
    """mmengine's `Compose`, whose samples also say how to get back to the picture.

    Their metainfo has `undo`, the steps (`Crop`, `Flip`, `Resize`) that lead from what the network
    is given, without the preprocessor's padding, back to the picture as it was loaded, in the order
    in which they are applied; and `undo_from`, the size (H, W) that they begin with. Pipelines
    inside `TestTimeAug` and the like record, too, and every view has its own.

    What upstream's transforms do is known. A transform of one's own may say what undoes it: it puts
    the steps into the sample, `results["undo"]`. If it does not, and has changed the picture, it is
    tried once, see `datasets.probe`; one that changes the picture's size, once for every two sizes.
    A step that sets another `ori_shape` declares what it hands on to be the picture.

    Args:
        transforms: the steps, or their configs.
        name: how the pipeline is called in errors.

    Raises:
        ValueError: for a transform that cannot be undone; also when the pipeline is called, for one
            that is tried and found to move pixels, or that moves the label map, too.
    """

    def __init__(
        self,
        transforms: Sequence[dict | Transform] | None,
        name: str = "test_dataloader.dataset.pipeline",
    ) -> None:
        super().__init__(transforms)
        self.name = name
        self._tried: dict[tuple, Effect | None] = {}
        for step in self.transforms:
            reason = not_undone(step)
            if reason is not None:
                raise ValueError(
                    f"{name}: {type(step).__name__} {reason}, which no prediction can undo; leave "
                    f"it out. {_WHAT_IS_UNDONE}. For pictures that are too large, "
                    "model.test_cfg=dict(mode='slide', crop_size=..., stride=...)"
                )
        self.transforms = [_trace_inside(step, name) for step in self.transforms]

    def __call__(self, data: dict) -> dict | None:
        """Apply the steps one after the other; None if one of them finds nothing to hand on."""
        for step in self.transforms:
            data = step(data) if _holds_pipelines(step) else self._apply(step, data)
            if data is None:
                return None
        return data

    def _apply(self, step: Transform, data: dict) -> dict | None:
        """Apply a step, and put what undoes it in front of what undoes those before it."""
        undo = data.pop("undo", None)
        before, shape = _size(data), data.get("ori_shape")
        effect = effect_of(step)
        kept = copy.deepcopy(data) if effect is None and before is not None else None
        result = step(data)
        if not isinstance(result, dict):
            return result
        own = result.pop("undo", None)
        after = _size(result)
        if after is None:
            _tell_sample(result, undo, before)
            return result
        if before is None or effect is Effect.LOADS or result.get("ori_shape") != shape:
            undo, own = (), ()
        elif own is None:
            if effect is None:
                effect = self._find_effect(step, kept, result)
            own = _undoing(effect, result, before, after)
        self._check(step, own, result)
        result["undo"] = (*own, *(undo or ()))
        return result

    def _check(self, step: Transform, own: Sequence[Step], result: dict) -> None:
        """Check what undoes a step, and that it has not moved the truth with the picture."""
        if not all(isinstance(part, Step) for part in own):
            raise TypeError(
                f"{self.name}: results['undo'] of {type(step).__name__} must be steps of "
                f"mmseg_pointrend.core (Crop, Flip, Resize), got {own!r}"
            )
        if own and result.get("gt_seg_map") is not None:
            raise ValueError(
                f"{self.name}: {type(step).__name__} moves the label map, too, and predictions are "
                "made for the picture as it was loaded: put LoadAnnotations after it"
            )

    def _find_effect(self, step: Transform, sample: dict, result: dict) -> Effect:
        """Try a step of unknown effect, unless that has been done."""
        if np.array_equal(sample["img"], result["img"]):
            return Effect.KEEPS  # as of a step that loads labels, or does nothing this time
        before, after = _size(sample), _size(result)
        key = (id(step), None if before == after else (before, after))
        effect = self._tried.get(key) or probe(step, sample)
        if min(before) >= SHORTEST_SIDE:
            self._tried[key] = effect
        if effect is None or (effect is Effect.KEEPS) != (before == after):
            change = (
                "moves pixels"
                if before == after
                else f"makes {after[1]} x {after[0]} pixels of {before[1]} x {before[0]}, and not "
                "by resizing the picture or padding it to the right and below"
            )
            raise ValueError(
                f"{self.name}: {type(step).__name__} {change}; leave it out. {_WHAT_IS_UNDONE}"
            )
        return effect


def trace_pipelines(dataset: object, name: str) -> list[object]:
    """Let the pipelines of test data record what they do, in place.

    Args:
        dataset: of mmengine's kind, perhaps in wrappers.
        name: how it is called in errors, "test_dataloader.dataset" for instance.

    Returns:
        the data sets without wrappers whose pipelines record since now.

    Raises:
        ValueError: for a transform or a wrapper that cannot be undone.
    """
    for wrapper in mixing_wrappers(dataset):
        raise ValueError(
            f"{name}: {type(wrapper).__name__} has a pipeline of its own, which puts pictures "
            "together; leave it out where predictions are made"
        )
    traced = []
    for inner in innermost_datasets(dataset):
        if type(getattr(inner, "pipeline", None)) in (Compose, NestedPipeline):
            inner.pipeline = TracedPipeline(inner.pipeline.transforms, f"{name}.pipeline")
            traced.append(inner)
    return traced


def check_undone_by_mmseg(samples: Iterable[Any], name: str) -> None:
    """Refuse samples that mmsegmentation's own segmentors do not bring back to the picture.

    They undo the padding of the preprocessor, one flip and a resize.

    Args:
        samples: data samples, or for each view a list of them.
        name: how the pipeline is called in errors.

    Raises:
        ValueError: if the pipeline padded or flipped twice.
    """
    for sample in samples:
        if isinstance(sample, list | tuple):
            check_undone_by_mmseg(sample, name)
            continue
        undo = sample.metainfo.get("undo", ())
        flips = sum(isinstance(step, Flip) for step in undo)
        if any(isinstance(step, Crop) for step in undo):
            raise ValueError(
                f"{name}: only model.type='PointRend' undoes a padding of the pipeline; let the "
                "preprocessor pad instead, model.data_preprocessor.test_cfg=dict(size_divisor=...)"
            )
        if flips != bool(sample.metainfo.get("flip")):
            raise ValueError(f"{name}: only model.type='PointRend' undoes more than one flip")


def _trace_inside(step: Transform, name: str) -> Transform:
    """Let the pipelines inside a step record, too."""
    if type(step) is NestedPipeline:
        return TracedPipeline(step.transforms, name)
    if type(step) is TestTimeAug:
        step.subroutines = [_trace_inside(inner, name) for inner in step.subroutines]
    elif type(step) is RandomChoice:
        step.transforms = [_trace_inside(inner, name) for inner in step.transforms]
    elif type(step) is RandomApply:
        step.transforms = _trace_inside(step.transforms, name)
    return step


def _holds_pipelines(step: Transform) -> bool:
    return type(step) in (TracedPipeline, TestTimeAug, RandomChoice, RandomApply)


def _size(data: dict) -> Size | None:
    """Height and width of a sample's picture; None before it is loaded and once it is packed."""
    image = data.get("img")
    if not isinstance(image, np.ndarray) or image.ndim not in (2, 3):
        return None
    return image.shape[0], image.shape[1]


def _undoing(effect: Effect, result: dict, before: Size, after: Size) -> tuple[Step, ...]:
    """List the steps that undo what has been done to a picture of size `before`."""
    if effect is Effect.FLIPS:
        direction = result.get("flip_direction") if result.get("flip") else None
        both = ("horizontal", "vertical")
        return tuple(map(Flip, both if direction == "diagonal" else filter(None, [direction])))
    if before == after:
        return ()
    return (Crop(0, 0, *before),) if effect is Effect.PADS else (Resize(*before),)


def _tell_sample(result: dict, undo: tuple[Step, ...] | None, size: Size | None) -> None:
    """Put the record into a packed sample."""
    sample = result.get("data_samples")
    if size is not None and hasattr(sample, "set_metainfo"):
        sample.set_metainfo(dict(undo=undo or (), undo_from=size))
