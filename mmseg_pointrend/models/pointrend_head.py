"""PointRend as one decode head: a coarse head, and a point head that renders its prediction."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.utils import SampleList, add_prefix
from torch import Tensor

from mmseg_pointrend.core import (
    WAYS,
    Margin,
    PointFeatures,
    PredictPoints,
    Resize,
    Subdivision,
    SubdivisionStep,
    decide,
    label_sample,
    render,
    render_labels,
    subdivide,
)
from mmseg_pointrend.models.class_settings import (
    complete_coarse_config,
    complete_point_config,
    resolve_classes,
)
from mmseg_pointrend.models.coarse_head import (
    CoarseOutput,
    check_coarse_head,
    coarse_losses,
    main_logits,
    run_coarse_head,
)
from mmseg_pointrend.models.feature_maps import FeatureMaps, check_feature_maps, indices_of
from mmseg_pointrend.models.finite import FinitePrediction, require_finite_losses
from mmseg_pointrend.models.known_pixels import count_known_pixels
from mmseg_pointrend.models.loss_checks import check_head_losses
from mmseg_pointrend.models.losses import build_losses, masked_losses
from mmseg_pointrend.models.parts import (
    build_margin,
    build_sampler,
    check_point_head,
    check_point_logits,
)
from mmseg_pointrend.models.picture import build_picture, picture_map, with_picture_channels
from mmseg_pointrend.models.restoring import restoring_warp


@MODELS.register_module()
class PointRendHead(BaseModule):
    """Cascade decode head (paper, sec. 3 and 5).

    A coarse head predicts logits on a small grid; the point head predicts single points again, from
    the fine-grained features and the coarse logits there. In training these are random points
    biased towards uncertain places; in inference the most uncertain pixels of each subdivision
    step.

    The number of classes is written once, here, and handed to the coarse head, as are
    `out_channels`, `threshold` and `ignore_index`. Any decode head whose `forward` gives logits (N,
    K, h, w), alone or as the first of several outputs, can be the coarse head. Checkpoints of
    mmsegmentation's PointRend load as they are.

    Args:
        coarse_head: config of a registered decode head.
        point_head: config of the point head, see `PointMLP`.
        num_classes: number of classes.
        out_channels: K. `num_classes` by default; 1 for two classes told apart by one logit.
        threshold: with one output channel, the probability above which a pixel is class 1.
        ignore_index: label of pixels that count in no loss.
        training_points: settings of `core.TrainingPoints`: `num_points`, and `strategy` (a row of
            the paper's Table 4) or `oversample_ratio` and `importance_sample_ratio`; or config of a
            sampler of one's own.
        subdivision: settings of `core.Subdivision`: `steps`, `num_points`, `scale_factor`,
            `max_margin`. 0 steps give the coarse prediction.
        uncertainty: "logit" (as detectron2, mmsegmentation and the published weights) or
            "probability" (as the paper's text); or name or config of a margin of one's own.
        coarse_at_fine: resize the coarse logits, bilinearly, to the size of the fine-grained map
            (of several, the one with the most pixels) before the point head's coarse features are
            read from them. Where the two sizes are equal, nothing changes.
        picture: the picture itself as one more fine-grained map, of stride 1, for models of type
            `PointRend`: `dict(kernel_size=3)`, the 3x3 pixels around a point, or config of a module
            of one's own, see `models.picture`. Its channels are added to the point head's
            `in_channels`, at the end. By default it is not read.
        loss_point: config of the loss on the points, or of several; cross entropy by default.
        label_rendering: "sparse", "dense" or "auto", by device and free memory; the labels are the
            same. See `core.render_labels`.
        init_cfg: initialisation of the whole head, rarely needed.

    Raises:
        ValueError: for settings that contradict each other or are out of range.
    """

    #: Pixel centres are at (i + 0.5) / S everywhere, see `mmseg_pointrend.core`.
    align_corners = False
    #: Where mmsegmentation's list of two heads has its parts -> where they lie here.
    upstream_prefixes = {"0.": "coarse_head.", "1.": "point_head."}

    def __init__(
        self,
        coarse_head: dict,
        point_head: dict,
        num_classes: int,
        out_channels: int | None = None,
        threshold: float | None = None,
        ignore_index: int = 255,
        training_points: dict | None = None,
        subdivision: dict | None = None,
        uncertainty: str | dict | Callable = "logit",
        coarse_at_fine: bool = False,
        picture: dict | None = None,
        loss_point: dict | Sequence[dict] | None = None,
        label_rendering: str = "auto",
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        classes = resolve_classes(num_classes, out_channels, threshold, ignore_index)
        self.num_classes, self.out_channels, self.threshold, self.ignore_index = classes
        margin = build_margin(uncertainty, self.out_channels)
        self.training_points = build_sampler(training_points)
        self.subdivision = Subdivision(**(subdivision or {}), margin=margin)
        if label_rendering not in WAYS:
            raise ValueError(
                f"label_rendering must be one of {list(WAYS)}, got {label_rendering!r}"
            )
        self.label_rendering = label_rendering
        self.coarse_at_fine = coarse_at_fine
        self.coarse_head = MODELS.build(complete_coarse_config(coarse_head, classes))
        check_coarse_head(self.coarse_head)
        self.picture = build_picture(picture)
        point_head = with_picture_channels(point_head, self.picture)
        self.point_head = MODELS.build(complete_point_config(point_head, classes))
        check_point_head(self.point_head, self.picture)
        self.loss_point = build_losses(loss_point, self.out_channels)
        check_head_losses("coarse_head", self.coarse_head, self.out_channels)
        count_known_pixels(self.coarse_head)
        self._register_load_state_dict_pre_hook(_rename_upstream_keys)
        #: Whether the coarse head stays as it is; see `freeze_coarse_head`.
        self.coarse_is_frozen = False

    @property
    def margin(self) -> Margin:
        """What tells how certain a prediction is, in training and in inference."""
        return self.subdivision.margin

    # ---- prediction ------------------------------------------------------------------------------

    def forward(
        self,
        inputs: Sequence[Tensor],
        extra_steps: int = 0,
        coarse_logits: Tensor | None = None,
    ) -> Tensor:
        """Render.

        Args:
            inputs: feature maps, each (N, C_i, h_i, w_i).
            extra_steps: subdivision steps beyond those of the settings.
            coarse_logits: (N, K, h, w), if the coarse head has run already.

        Returns:
            (N, K, h s^T, w s^T) logits, (h, w) being the coarse grid, s the scale factor and T the
            number of steps.
        """
        return render(*self._rendering(inputs, extra_steps, coarse_logits))

    def predict_logits(
        self,
        inputs: Sequence[Tensor],
        extra_steps: int = 0,
        coarse_logits: Tensor | None = None,
    ) -> Tensor:
        """Render as `forward` does, whose arguments and result these are, and look at what comes.

        Raises:
            NotFiniteError: if logits are NaN or infinite, naming the stage.
        """
        check = FinitePrediction(inputs)
        logits = render(*_watched(self._rendering(inputs, extra_steps, coarse_logits), check))
        check.finish()
        return logits

    def predict_labels(
        self,
        inputs: Sequence[Tensor],
        batch_img_metas: list[dict],
        input_size: tuple[int, int],
        extra_steps: int = 0,
        coarse_logits: Tensor | None = None,
    ) -> list[Tensor]:
        """Render labels at the original pictures' pixels, but not the logits of every pixel.

        Args:
            inputs: feature maps, each (N, C_i, h_i, w_i).
            batch_img_metas: for each of the N images what the pipeline did, see `restoring_warp`.
            input_size: (H, W) of the network's input.
            extra_steps: subdivision steps beyond those of the settings.
            coarse_logits: (N, K, h, w), if the coarse head has run already.

        Returns:
            for each image (H', W'), in the smallest integer type that holds K labels: what the
            logits of `forward`, brought back to the original picture, would decide.

        Raises:
            NotFiniteError: if logits are NaN or infinite, naming the stage.
        """
        check = FinitePrediction(inputs)
        rendering = _watched(self._rendering(inputs, extra_steps, coarse_logits), check)
        labels = self._render_labels(rendering, batch_img_metas, input_size)
        check.finish()
        return labels

    def coarse_labels(
        self, coarse_logits: Tensor, batch_img_metas: list[dict], input_size: tuple[int, int]
    ) -> list[Tensor]:
        """Decide by the coarse logits alone, at the original pictures' pixels.

        Args:
            coarse_logits: (N, K, h, w).
            batch_img_metas: for each of the N images what the pipeline did, see `restoring_warp`.
            input_size: (H, W) of the network's input.

        Returns:
            what `predict_labels` gives after 0 subdivision steps.
        """
        subdivision = dataclasses.replace(self.subdivision, steps=0)
        rendering = _Rendering(coarse_logits, _no_points, subdivision)
        return self._render_labels(rendering, batch_img_metas, input_size)

    def _render_labels(
        self, rendering: "_Rendering", batch_img_metas: list[dict], input_size: tuple[int, int]
    ) -> list[Tensor]:
        coarse = rendering.coarse_logits
        grid = rendering.subdivision.grid_size((coarse.shape[2], coarse.shape[3]))
        warps = [restoring_warp(meta, input_size, grid) for meta in batch_img_metas]
        return render_labels(
            *rendering, warps=warps, threshold=self.threshold, way=self.label_rendering
        )

    def render_steps(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Iterator[SubdivisionStep]]:
        """Render, and show every step: the coarse logits and a record of each subdivision step."""
        rendering = self._rendering(inputs)
        return rendering.coarse_logits, subdivide(*rendering)

    def _rendering(
        self, inputs: Sequence[Tensor], extra_steps: int = 0, coarse_logits: Tensor | None = None
    ) -> "_Rendering":
        """Put the arguments of `core.render` together."""
        if coarse_logits is None:
            coarse_logits = self.coarse_prediction(inputs)
        features = self.point_features(inputs, coarse_logits)
        return _Rendering(
            coarse_logits,
            lambda points: self.point_logits(features, points),
            self.subdivision.more_steps(extra_steps),
        )

    def predict(
        self, inputs: Sequence[Tensor], batch_img_metas: list[dict], test_cfg: dict | None = None
    ) -> Tensor:
        """Render and resize to the network's input (`img_shape`, or `pad_shape` where padded).

        `test_cfg` is part of mmsegmentation's interface and not used.

        Returns:
            (N, K, H, W) logits.
        """
        meta = batch_img_metas[0]
        size = meta["img_shape"]
        # mmsegmentation's slide inference writes the window's size, a torch.Size, over img_shape.
        if not isinstance(size, torch.Size) and meta.get("pad_shape") is not None:
            size = meta["pad_shape"]
        return self.predict_by_feat(self.predict_logits(inputs), tuple(size[:2]))

    def predict_by_feat(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Resize (N, K, h, w) logits to (N, K, *size); the same tensor if they have that size."""
        return Resize(*size).apply(logits)

    # ---- training --------------------------------------------------------------------------------

    def freeze_coarse_head(self) -> None:
        """Keep the coarse head as it is from now on, and leave its losses out."""
        self.coarse_is_frozen = True
        self.coarse_head.requires_grad_(False)
        self.coarse_head.eval()

    def train(self, mode: bool = True) -> "PointRendHead":
        """Set the mode; a frozen coarse head stays in evaluation mode."""
        super().train(mode)
        if self.coarse_is_frozen:
            self.coarse_head.eval()
        return self

    def loss(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: SampleList,
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses of the coarse map and of the points.

        The coarse head runs once. `train_cfg` is part of mmsegmentation's interface and not used.

        Returns:
            `coarse.*` as the coarse head names them, unless it is frozen, `point.<loss_name>` and
            `point.acc` (percent).

        Raises:
            NotFiniteError: if a loss is NaN or infinite, naming the stage.
        """
        labels = torch.stack([sample.gt_sem_seg.data for sample in batch_data_samples])
        output, coarse_logits = self._run_coarse_head(inputs)
        losses: dict[str, Tensor] = {}
        if not self.coarse_is_frozen:
            found = coarse_losses(self.coarse_head, output, labels, batch_data_samples)
            losses.update(add_prefix(found, "coarse"))
        with torch.no_grad():
            points = self.training_points(coarse_logits, self.margin)
        features = self.point_features(inputs, coarse_logits)
        point_logits = self.point_logits(features, points)
        point_labels = label_sample(labels.squeeze(1), points)
        losses.update(add_prefix(self.point_losses(point_logits, point_labels), "point"))
        stages = {"coarse logits": coarse_logits, "logits of the point head": point_logits}
        require_finite_losses(losses, inputs, stages)
        return losses

    def point_losses(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Compute the losses of predicted points; ignored points take no part.

        Args:
            logits: (N, K, P).
            labels: (N, P), `ignore_index` where unknown.

        Returns:
            each loss by its name (losses of equal name added up), and `acc` in percent.
        """
        losses = masked_losses(self.loss_point, logits, labels, self.ignore_index)
        with torch.no_grad():
            valid = labels != self.ignore_index
            hits = (decide(logits, self.threshold) == labels) & valid
            losses["acc"] = 100 * hits.sum() / valid.sum().clamp(min=1)
        return losses

    # ---- shared by prediction and training -------------------------------------------------------

    def with_picture(self, maps: Sequence[Tensor], picture: Tensor) -> Sequence[Tensor]:
        """Put the picture beside the feature maps that were extracted from it, if it is read.

        Args:
            maps: each (N, C_i, h_i, w_i).
            picture: (N, 3, H, W), as the backbone got it.
        """
        return maps if self.picture is None else FeatureMaps(maps, picture)

    def coarse_prediction(self, inputs: Sequence[Tensor]) -> Tensor:
        """Run the coarse head once: feature maps -> (N, K, h, w) logits.

        Raises:
            ValueError: if a head's `in_index` or `in_channels` does not fit the feature maps, or
                the coarse head gives no map of K channels.
        """
        return self._run_coarse_head(inputs)[1]

    def _run_coarse_head(self, inputs: Sequence[Tensor]) -> tuple[CoarseOutput, Tensor]:
        """Give the coarse head's output, and the logits that are all of it or its first part."""
        check_feature_maps(inputs, self.coarse_head, self.point_head)
        output = run_coarse_head(self.coarse_head, inputs)
        return output, main_logits(self.coarse_head, output, self.out_channels)

    def point_features(self, inputs: Sequence[Tensor], coarse_logits: Tensor) -> PointFeatures:
        """Say where the features of points are read, in training and in inference.

        Args:
            inputs: feature maps, each (N, C_i, h_i, w_i).
            coarse_logits: (N, K, h, w).
        """
        fine = [inputs[index] for index in indices_of(self.point_head)]
        if self.coarse_at_fine:
            height, width = max((features.shape[2:] for features in fine), key=math.prod)
            coarse_logits = Resize(height, width).apply(coarse_logits)
        if self.picture is None:
            return PointFeatures(fine, coarse_logits)
        return PointFeatures([*fine, picture_map(self.picture, inputs)], coarse_logits)

    def point_logits(self, features: PointFeatures, points: Tensor) -> Tensor:
        """Predict points: (N, P, 2) points -> (N, K, P) logits.

        Raises:
            ValueError: if the point head gives something else.
        """
        fine, coarse = features(points)
        logits = self.point_head(fine, coarse)
        check_point_logits(self.point_head, logits, coarse)
        return logits


class _Rendering(NamedTuple):
    """The arguments of `core.render`."""

    coarse_logits: Tensor
    predict_points: PredictPoints
    subdivision: Subdivision


def _watched(rendering: _Rendering, check: FinitePrediction) -> _Rendering:
    """Look at the coarse logits, and at the points' as they come."""
    check.look("coarse logits", rendering.coarse_logits)

    def predict_points(points: Tensor) -> Tensor:
        logits = rendering.predict_points(points)
        check.look("logits of the point head", logits)
        return logits

    return rendering._replace(predict_points=predict_points)


def _no_points(points: Tensor) -> Tensor:
    raise AssertionError("0 subdivision steps predict no points")


def _rename_upstream_keys(state_dict: dict, prefix: str, *_: object) -> None:
    for key in list(state_dict):
        for old, new in PointRendHead.upstream_prefixes.items():
            if key.startswith(prefix + old):
                state_dict[prefix + new + key[len(prefix + old) :]] = state_dict.pop(key)
