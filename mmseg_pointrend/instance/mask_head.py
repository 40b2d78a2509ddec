"""PointRend as the mask head of a detector: coarse masks of boxes, rendered by a point head."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from mmdet.models.task_modules import SamplingResult
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmseg_pointrend.core import (
    PointFeatures,
    Regions,
    Subdivision,
    SubdivisionStep,
    lasting_steps,
)
from mmseg_pointrend.instance.coarse_mask_head import PointRendCoarseMaskHead
from mmseg_pointrend.instance.mask_targets import coarse_targets, point_targets, true_masks
from mmseg_pointrend.models.feature_maps import channels_of, check_feature_maps, indices_of
from mmseg_pointrend.models.finite import FinitePrediction, require_finite_losses
from mmseg_pointrend.models.parts import (
    build_margin,
    build_sampler,
    check_point_head,
    check_point_logits,
)
from mmseg_pointrend.models.point_mlp import PointMLP

#: Boxes whose coarse masks are predicted at a time on a CPU.
_COARSE_CHUNK_ON_CPU = 64
#: Features of points that are worked on at a time: on a CPU few enough to stay in a cache.
_CHUNK_ON_CPU, _CHUNK = 1 << 20, 1 << 26


@dataclass(frozen=True)
class Boxes:
    """Boxes on the network's input, and their classes.

    Attributes:
        rois: (R, 5): the image's number in the batch, left, top, right, bottom, pixels.
        labels: (R,), int64, the class of each.
        strides: of the feature maps that there are.
        counts: how many boxes each image has, if they come image by image.
    """

    rois: Tensor
    labels: Tensor
    strides: Sequence[int]
    counts: Sequence[int] | None = None
    #: By the size of images; maps that cover the same are read in the same regions.
    _regions: dict[tuple[int, int], Regions] = field(default_factory=dict, init=False, repr=False)

    def regions(self, features: Tensor, index: int) -> Regions:
        """Say where the boxes lie in the feature map of a number."""
        stride = self.strides[index]
        size = (features.shape[2] * stride, features.shape[3] * stride)
        if size not in self._regions:
            images = self.rois[:, 0].long()
            self._regions[size] = Regions.from_pixels(self.rois[:, 1:], images, size, self.counts)
        return self._regions[size]

    def part(self, chosen: slice | Tensor) -> "Boxes":
        """Take some of the boxes."""
        return Boxes(self.rois[chosen], self.labels[chosen], self.strides)

    def parts(self, count: int) -> Iterator[tuple[slice, "Boxes"]]:
        """Take so many boxes at a time."""
        if 0 < len(self.rois) <= count:
            yield slice(0, len(self.rois)), self
            return
        for first in range(0, len(self.rois), count):
            chosen = slice(first, first + count)
            yield chosen, self.part(chosen)


class Masks(NamedTuple):
    """Predicted masks of boxes, in the frames of the boxes.

    Attributes:
        chosen: of which boxes, a slice or (R,) numbers.
        probabilities: (R, H, W).
        coarse: (R, h, w), those of the last grid that is predicted in full; None if not asked for.
    """

    chosen: slice | Tensor
    probabilities: Tensor
    coarse: Tensor | None


@MODELS.register_module()
class PointRendMaskHead(BaseModule):
    """Mask head of a two-stage detector (paper, sec. 3 and 4), for PointRend's RoI heads.

    A coarse head predicts a small mask of each class for a box; the point head predicts single
    points of it again, from the fine-grained features and the coarse logits there. In training
    these are random points biased towards uncertain places of the true class's mask; in prediction
    the most uncertain pixels of each subdivision step of the predicted class's mask. Other classes'
    masks are not rendered: of them the point head reads the coarse logits, and nothing else is
    looked at.

    Args:
        coarse_head: config of the coarse head, `PointRendCoarseMaskHead` by default.
        point_head: config of the point head, `models.PointMLP` by default.
        num_classes: number of classes; the RoI head hands on that of its box head.
        class_agnostic: predict one mask for all classes.
        training_points: settings of `core.TrainingPoints`, or config of a sampler of one's own.
        subdivision: settings of `core.Subdivision`.
        uncertainty: "logit" (as the published weights) or "probability", or a margin of one's own.
        loss_mask: mmdet's config of the loss on the coarse mask, with `use_mask=True`.
        loss_point: the same of the loss on the points.
        no_finer_than_picture: stop subdividing a box when its grid has as many pixels as the
            picture has there; faster for small boxes, and not quite the same masks.
        predict_coarse: give the coarse masks, too: those of the last grid that is predicted in
            full, of 28x28 pixels by default.
        init_cfg: initialisation of the whole head, rarely needed.

    Raises:
        ValueError: for settings that contradict each other or are out of range.
    """

    def __init__(
        self,
        coarse_head: dict,
        point_head: dict,
        num_classes: int,
        class_agnostic: bool = False,
        training_points: dict | None = None,
        subdivision: dict | None = None,
        uncertainty: str | dict | Callable = "logit",
        loss_mask: dict | None = None,
        loss_point: dict | None = None,
        no_finer_than_picture: bool = False,
        predict_coarse: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_classes < 1:
            raise ValueError(f"num_classes must be >= 1, got {num_classes}")
        self.num_classes, self.class_agnostic = num_classes, class_agnostic
        self.no_finer_than_picture, self.predict_coarse = no_finer_than_picture, predict_coarse
        # One channel is looked at, that of the box's class.
        margin = build_margin(uncertainty, out_channels=1)
        training_points = training_points or {}
        # A sampler of one's own has settings of its own.
        few = {} if "type" in training_points else dict(num_points=14 * 14)
        self.training_points = build_sampler(few | training_points)
        settings = dict(steps=5, num_points=28 * 28) | (subdivision or {})
        self.subdivision = Subdivision(**settings, margin=margin)
        own = dict(out_channels=1 if class_agnostic else num_classes)
        for name, config in (("coarse_head", coarse_head), ("point_head", point_head)):
            if "num_classes" in config or "out_channels" in config:
                raise ValueError(
                    f"{name} takes the number of classes from bbox_head.num_classes; leave its own "
                    "out"
                )
        self.coarse_head = MODELS.build(dict(type=PointRendCoarseMaskHead) | coarse_head | own)
        last = dict(type="Normal", std=0.001, override=dict(name="fc_seg"))
        # Of the built-in one.
        default = {} if "type" in point_head else dict(type=PointMLP, init_cfg=last)
        self.point_head = MODELS.build(default | point_head | own)
        check_point_head(self.point_head)
        self.loss_mask = _build_loss("loss_mask", loss_mask)
        self.loss_point = _build_loss("loss_point", loss_point)

    # ---- training --------------------------------------------------------------------------------

    def loss(
        self,
        inputs: Sequence[Tensor],
        boxes: Boxes,
        sampling_results: Sequence[SamplingResult],
        gt_instances: Sequence[InstanceData],
    ) -> dict[str, Tensor]:
        """Compute the losses of the coarse masks and of the points.

        Args:
            inputs: feature maps, each (B, C_i, h_i, w_i).
            boxes: the positive ones, with their true classes.
            sampling_results: of each picture, whose positive boxes these are.
            gt_instances: of each picture, with `masks`.

        Returns:
            `loss_mask`, `loss_point`, and `acc_point` in percent. Without boxes the losses are 0,
            with a gradient graph, so that distributed training finds every parameter used.

        Raises:
            NotFiniteError: if a loss is NaN or infinite, naming the stage.
        """
        if not len(boxes.rois):
            zero = torch.stack([0 * weights.sum() for weights in self.parameters()]).sum()
            return dict(loss_mask=zero, loss_point=zero, acc_point=zero.detach())
        coarse_logits = self.coarse_prediction(inputs, boxes)
        own = self._of_classes(coarse_logits, boxes.labels)
        with torch.no_grad():
            points = self.training_points(own, self.subdivision.margin)
        features = self.point_features(inputs, coarse_logits, boxes)
        point_logits = self.point_logits(features, boxes.labels, points)
        truth = list(true_masks(sampling_results, gt_instances))
        coarse_truth = coarse_targets(truth, tuple(own.shape[2:]))
        point_truth = point_targets(truth, points)
        losses = dict(
            loss_mask=_apply(self.loss_mask, own, coarse_truth),
            loss_point=_apply(self.loss_point, point_logits, point_truth),
        )
        stages = {"coarse logits": own, "logits of the point head": point_logits}
        require_finite_losses(losses, inputs, stages)
        hits = (point_logits[:, 0] > 0) == (point_truth > 0.5)
        return losses | dict(acc_point=100 * hits.mean(dtype=torch.float32))

    # ---- prediction ------------------------------------------------------------------------------

    def prepare(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Have feature maps in the type and order in which `predict` reads them."""
        return [_prepared(maps) if n in self.indices else maps for n, maps in enumerate(inputs)]

    @torch.no_grad()
    def predict(
        self, inputs: Sequence[Tensor], boxes: Boxes, count: int, steps: int | None = None
    ) -> Iterator[Masks]:
        """Render the masks of boxes, a few boxes at a time.

        Args:
            inputs: feature maps, each (B, C_i, h_i, w_i), best from `prepare`.
            boxes: with their predicted classes.
            count: how many at a time, see `boxes_at_a_time`.
            steps: number of subdivision steps; that of the settings by default.

        Yields:
            masks of some of the boxes, in their order.

        Raises:
            NotFiniteError: if logits are NaN or infinite, naming the stage.
        """
        subdivision, check = self._fixed(steps), FinitePrediction(inputs)
        for chosen, outer in boxes.parts(self._coarse_boxes_at_a_time(boxes.rois.device)):
            coarse_logits = self.coarse_prediction(inputs, outer)
            check.look("coarse logits of the masks", coarse_logits)
            for part, inner in outer.parts(count):
                first = chosen.start + part.start
                place = slice(first, first + len(inner.rois))
                logits, coarse = self._render(inputs, coarse_logits[part], inner, subdivision)
                check.look("logits of the point head", logits)
                yield Masks(
                    place,
                    _probabilities(logits),
                    None if coarse is None else _probabilities(coarse),
                )
        check.finish()

    def render_steps(
        self, inputs: Sequence[Tensor], boxes: Boxes
    ) -> tuple[Tensor, Iterator[SubdivisionStep]]:
        """Render all boxes at once, and show every step.

        Args:
            inputs: feature maps, each (B, C_i, h_i, w_i), best from `prepare`.
            boxes: with their predicted classes.

        Returns:
            the coarse logits of the boxes' classes, (R, 1, h, w), and a record of each subdivision
            step that lasts; points lie in the frames of the boxes.
        """
        coarse_logits = self.coarse_prediction(inputs, boxes)
        return self._subdivide(inputs, coarse_logits, boxes, self._fixed(None))

    def _subdivide(
        self,
        inputs: Sequence[Tensor],
        coarse_logits: Tensor,
        boxes: Boxes,
        subdivision: Subdivision,
    ) -> tuple[Tensor, Iterator[SubdivisionStep]]:
        """Give the coarse logits of the boxes' classes, and the steps from them."""
        features = self.point_features(inputs, coarse_logits, boxes)
        predict_points = partial(self.point_logits, features, boxes.labels)
        logits = self._of_classes(coarse_logits, boxes.labels)
        return logits, lasting_steps(logits, predict_points, subdivision)

    def boxes_at_a_time(self, device: torch.device) -> int:
        """Number of boxes whose points are best predicted together."""
        most = _CHUNK_ON_CPU if device.type == "cpu" else _CHUNK
        points = self.subdivision.count_points(self.coarse_head.output_size)
        return max(1, most // (points * sum(channels_of(self.point_head))))

    def _coarse_boxes_at_a_time(self, device: torch.device) -> int:
        if device.type == "cpu":
            return _COARSE_CHUNK_ON_CPU
        head = self.coarse_head
        return max(1, _CHUNK // (math.prod(head.roi_feat_size) * sum(channels_of(head))))

    def steps_for(self, sides: Tensor) -> Tensor:
        """Find how many subdivision steps give boxes a grid that is as fine as their pixels.

        Args:
            sides: (R,), the longer side of each box, pixels of the picture.

        Returns:
            (R,), at least the full steps and at most those of the settings.
        """
        size = self.coarse_head.output_size
        scale = self.subdivision.scale_factor
        steps = (sides / min(size)).clamp(min=1).log() / math.log(scale)
        least = max(self.subdivision.full_steps(size), min(1, self.subdivision.steps))
        return steps.ceil().long().clamp(least, self.subdivision.steps)

    def _fixed(self, steps: int | None) -> Subdivision:
        """The settings with another number of steps, and N as a number."""
        own = self.subdivision
        number = own.count_points(self.coarse_head.output_size)
        return dataclasses.replace(
            own, steps=own.steps if steps is None else steps, num_points=number
        )

    def _render(
        self,
        inputs: Sequence[Tensor],
        coarse_logits: Tensor,
        boxes: Boxes,
        subdivision: Subdivision,
    ) -> tuple[Tensor, Tensor | None]:
        """Render some boxes: logits, and those of the last full grid if asked for."""
        coarse, steps = self._subdivide(inputs, coarse_logits, boxes, subdivision)
        logits = coarse
        full = subdivision.full_steps((coarse.shape[2], coarse.shape[3]))
        for number, step in enumerate(steps):
            logits = step.logits
            if full and not number:
                coarse = logits
        return logits, coarse if self.predict_coarse else None

    # ---- shared by prediction and training -------------------------------------------------------

    @property
    def indices(self) -> list[int]:
        """Which feature maps are read."""
        return sorted({*indices_of(self.coarse_head), *indices_of(self.point_head)})

    def coarse_prediction(self, inputs: Sequence[Tensor], boxes: Boxes) -> Tensor:
        """Run the coarse head: (R, K, h, w) logits."""
        check_feature_maps(inputs, self.coarse_head, self.point_head)
        size, index = self.coarse_head.roi_feat_size, self.coarse_head.in_index
        maps = inputs[index]
        dtype = torch.promote_types(boxes.rois.dtype, torch.float32)
        y, x = ((torch.arange(n, dtype=dtype, device=maps.device) + 0.5) / n for n in size)
        points = torch.stack([x.expand(size), y[:, None].expand(size)], dim=2).flatten(0, 1)
        read = boxes.regions(maps, index).point_sample
        features = read(maps, points.expand(len(boxes.rois), -1, -1))
        return self.coarse_head(features.unflatten(2, size))

    def point_features(
        self, inputs: Sequence[Tensor], coarse_logits: Tensor, boxes: Boxes
    ) -> PointFeatures:
        """Say where the features of points are read: in boxes, and in the coarse logits (R, K)."""
        indices = indices_of(self.point_head)
        regions = [boxes.regions(inputs[index], index) for index in indices]
        # As `Regions` reads: the logits of a point side by side.
        coarse_logits = coarse_logits.contiguous(memory_format=torch.channels_last)
        return PointFeatures([inputs[index] for index in indices], coarse_logits, regions)

    def point_logits(self, features: PointFeatures, labels: Tensor, points: Tensor) -> Tensor:
        """Predict points of boxes, (R, P, 2), for their classes, (R,): (R, 1, P) logits."""
        fine, coarse = features(points)
        if isinstance(self.point_head, PointMLP):
            return self.point_head(fine, coarse, self._channels(labels))
        logits = self.point_head(fine, coarse)
        check_point_logits(self.point_head, logits, coarse)
        return self._of_classes(logits, labels)

    def _channels(self, labels: Tensor) -> Tensor:
        """Which logit is that of a class."""
        return torch.zeros_like(labels) if self.class_agnostic else labels

    def _of_classes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Take the logits of each box's class: (R, K, ...) -> (R, 1, ...)."""
        every = torch.arange(len(logits), device=logits.device)
        return logits[every, self._channels(labels)].unsqueeze(1)


def _prepared(maps: Tensor) -> Tensor:
    """Have maps in the type and order in which they are read."""
    return maps.to(torch.promote_types(maps.dtype, torch.float32)).contiguous(
        memory_format=torch.channels_last
    )


def _probabilities(logits: Tensor) -> Tensor:
    """Turn (R, 1, H, W) logits into (R, H, W) probabilities."""
    return logits[:, 0].float().sigmoid()


def _build_loss(name: str, config: dict | None) -> nn.Module:
    loss: Any = MODELS.build(config or dict(type="CrossEntropyLoss", use_mask=True))
    if not getattr(loss, "use_mask", False):
        raise ValueError(f"{name} must be a loss of masks, with use_mask=True, got {config}")
    return loss


def _apply(loss: nn.Module, logits: Tensor, truth: Tensor) -> Tensor:
    """Apply mmdet's loss of masks to (R, 1, ...) logits and (R, ...) truth."""
    channel = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return loss(logits.to(dtype), truth.to(dtype), channel)
