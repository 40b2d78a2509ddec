"""The segmentor: mmsegmentation's encoder-decoder, fitted to a rendering head."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor, nn

from mmseg_pointrend.core import (
    SubdivisionStep,
    Window,
    decide,
    list_windows,
    mixes_pixels,
    slide_labels,
    two_best,
    warp_map,
    warp_points,
    warp_size,
)
from mmseg_pointrend.models.class_settings import check_auxiliary_heads
from mmseg_pointrend.models.finite import naming_pictures
from mmseg_pointrend.models.known_pixels import count_known_pixels, modules_of
from mmseg_pointrend.models.loss_checks import check_head_losses
from mmseg_pointrend.models.restoring import record, restore, restoring_warp
from mmseg_pointrend.models.unrecorded import check_pipelines


class Prediction(NamedTuple):
    """What is predicted of an image or a batch: logits, or labels.

    Attributes:
        refined: by the rendering; of a model without PointRend, by the model.
        coarse: by the coarse logits alone, if they were asked for.
    """

    refined: Tensor
    coarse: Tensor | None = None

    def maps(self) -> list[Tensor]:
        """List the one or two predictions that there are."""
        return [self.refined] if self.coarse is None else [self.refined, self.coarse]

    def map(self, function: Callable[[Tensor], Tensor]) -> "Prediction":
        """Apply a function to the prediction, and to the coarse one."""
        return Prediction(*map(function, self.maps()))


class RenderedStep(NamedTuple):
    """What is there after a subdivision step, or before the first, at the picture's pixels.

    Attributes:
        classes: (2, H, W), int64: the label and the next best class.
        probabilities: (2, H, W), of the two.
        points: (P, 2), the points that were predicted anew, x and y in pixels.
    """

    classes: Tensor
    probabilities: Tensor
    points: Tensor


@MODELS.register_module()
class PointRend(EncoderDecoder):
    """`EncoderDecoder` for a `PointRendHead`; the arguments are the same, and four more.

    What it does differently: it predicts labels without rendering the logits of every pixel, and in
    sliding windows holds the logits of a band of rows only. Predictions have the size of what the
    network was given, padding included; maps that have the right size already are not resized. With
    one output channel `seg_logits` holds logits, where mmsegmentation leaves probabilities, to
    which its test-time augmentation then applies the sigmoid a second time.

    Args:
        *args: see `EncoderDecoder`.
        predict_logits: whether predictions also have `seg_logits`, K values for each pixel of the
            picture. That is what takes the time and the memory of mmsegmentation's PointRend.
        predict_coarse: whether predictions also have `coarse_sem_seg`: what the coarse logits of
            the same forward pass decide, without any subdivision step.
        output_scale: size of predictions, relative to the original picture's. Above 1, further
            subdivision steps render beyond the resolution of the input (not in sliding windows).
        freeze_base: train the point head alone. Backbone, neck and coarse head stay as they are to
            the bit, statistics of batch normalisation included, and have no loss.
        **kwargs: see `EncoderDecoder`.

    Raises:
        ValueError: for an output scale that is not positive, an auxiliary head for other classes
            than the decode head's, a loss of it that cannot work, or one beside a frozen base.
    """

    #: Predictions are brought back to the picture by the record of `datasets.TracedPipeline`.
    follows_undo = True

    def __init__(
        self,
        *args: object,
        predict_logits: bool = False,
        predict_coarse: bool = False,
        output_scale: float = 1.0,
        freeze_base: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)
        if self.with_auxiliary_head:
            heads = modules_of(self.auxiliary_head)
            check_auxiliary_heads(self.decode_head, heads)
            for head in heads:
                channels = getattr(head, "out_channels", self.decode_head.num_classes)
                check_head_losses("auxiliary_head", head, channels)
                count_known_pixels(head)
        if not output_scale > 0:
            raise ValueError(f"output_scale must be > 0, got {output_scale}")
        self.predict_logits = predict_logits
        self.predict_coarse = predict_coarse
        self.output_scale = output_scale
        self.freeze_base = freeze_base
        if freeze_base:
            self._freeze()

    def _freeze(self) -> None:
        if self.with_auxiliary_head:
            raise ValueError(
                "model.auxiliary_head trains the backbone, which freeze_base=True keeps as it is; "
                "set model.auxiliary_head=None"
            )
        self.decode_head.freeze_coarse_head()
        for part in self._feature_parts():
            part.requires_grad_(False)

    def _feature_parts(self) -> list[nn.Module]:
        return [self.backbone, self.neck] if self.with_neck else [self.backbone]

    def train(self, mode: bool = True) -> "PointRend":
        """Set the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        if self.freeze_base:
            for part in self._feature_parts():
                part.eval()
        return self

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Extract feature maps; for prediction on a CPU with channels last.

        Convolutions are faster there that way, and all channels of a point lie side by side. The
        picture goes with the maps if the decode head reads it.
        """
        picture = inputs
        if not self.training and inputs.device.type == "cpu":
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return self.decode_head.with_picture(super().extract_feat(inputs), picture)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Predict (N, K, H, W) logits for (N, 3, H, W) images."""
        metas = [dict(meta, img_shape=inputs.shape[2:]) for meta in batch_img_metas]
        return super().encode_decode(inputs, metas)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of all heads for (N, 3, H, W) images and their N samples.

        Raises:
            NotFiniteError: if a loss is NaN or infinite, naming the stage and the pictures.
        """
        with naming_pictures(inputs, data_samples):
            return super().loss(inputs, data_samples)

    # ---- prediction, at the original pictures' pixels --------------------------------------------

    def predict(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """Predict images.

        Args:
            inputs: (N, 3, H, W).
            data_samples: N samples whose meta says what the pipeline did; filled in place. Without
                them the predictions stay at the network's input size.

        Returns:
            N samples with `pred_sem_seg` (1, H', W'), int64, likewise `coarse_sem_seg` if
            `predict_coarse`, and `seg_logits` (K, H', W') if `predict_logits`.

        Raises:
            ValueError: for samples whose meta does not say how to get back to the pictures.
            NotFiniteError: if logits are NaN or infinite, naming the stage and the pictures.
        """
        if data_samples is None:
            data_samples = [SegDataSample() for _ in inputs]
        if any("undo" not in sample.metainfo for sample in data_samples):
            # Set by mmsegmentation's `init_model` and its inferencer.
            check_pipelines(getattr(self, "cfg", None))
        with naming_pictures(inputs, data_samples):
            return self._predict(inputs, data_samples)

    def _predict(self, inputs: Tensor, data_samples: SampleList) -> SampleList:
        sliding = self.test_cfg.get("mode") == "slide"
        if self.predict_logits or (sliding and not _only_moves(inputs, data_samples)):
            found = self.predict_logits_at_original(inputs, data_samples)
            for sample, logits in zip(data_samples, found, strict=True):
                self._set_prediction(sample, logits)
            return data_samples
        find = self._sliding_labels if sliding else self._rendered_labels
        for sample, labels in zip(data_samples, find(inputs, data_samples), strict=True):
            _set_labels(sample, labels)
        return data_samples

    def _rendered_labels(self, inputs: Tensor, data_samples: SampleList) -> Iterator[Prediction]:
        """Yield (H', W') labels for each image."""
        size, head = (inputs.shape[2], inputs.shape[3]), self.decode_head
        metas = [self._output_meta(sample, size) for sample in data_samples]
        features, steps = self.extract_feat(inputs), self._extra_steps()
        if not self.predict_coarse:
            return map(Prediction, head.predict_labels(features, metas, size, steps))
        coarse = head.coarse_prediction(features)
        refined = head.predict_labels(features, metas, size, steps, coarse)
        return map(Prediction, refined, head.coarse_labels(coarse, metas, size))

    def _output_meta(self, sample: SegDataSample, size: tuple[int, int]) -> dict:
        """Put the output's size in the place of the original picture's."""
        meta = record(sample.metainfo, size)
        sides = warp_size(size, restoring_warp(meta, size))
        scaled = (max(1, round(side * self.output_scale)) for side in sides)
        return dict(meta, ori_shape=tuple(scaled))

    def _extra_steps(self) -> int:
        """How many more steps reach the output's resolution, as the settings reach the input's."""
        factor = self.decode_head.subdivision.scale_factor
        return max(0, math.ceil(math.log(self.output_scale, factor) - 1e-9))

    @torch.no_grad()
    def rendering_steps(self, inputs: Tensor, data_samples: SampleList) -> list[list[RenderedStep]]:
        """Show what each step of the rendering does, at the original pictures' pixels.

        `test_cfg` and `output_scale` take no part: the network sees the inputs at once.

        Args:
            inputs: (N, 3, H, W).
            data_samples: N samples whose meta says what the pipeline did.

        Returns:
            for each picture the coarse prediction and each subdivision step.
        """
        size = (inputs.shape[2], inputs.shape[3])
        coarse, steps = self.decode_head.render_steps(self.extract_feat(inputs))
        warps = [restoring_warp(sample.metainfo, size) for sample in data_samples]
        found: list[list[RenderedStep]] = [[] for _ in data_samples]
        none = coarse.new_zeros(len(coarse), 0)
        before = SubdivisionStep(coarse, none[..., None].expand(-1, -1, 2), none, none.bool())
        for step in chain([before], steps):
            logits, points, refined = step.logits, step.points, step.refined
            grid = (logits.shape[2], logits.shape[3])
            for index, sample in enumerate(data_samples):
                warp = restoring_warp(sample.metainfo, size, grid)
                classes, probabilities = two_best(
                    warp_map(logits[index, None], warp), self.decode_head.threshold
                )
                moved = warp_points(points[index][refined[index]], size, warps[index])
                height, width = classes.shape[2:]
                moved = moved * moved.new_tensor([width, height])
                found[index].append(RenderedStep(classes[0], probabilities[0], moved))
        return found

    def _sliding_labels(self, inputs: Tensor, data_samples: SampleList) -> Iterator[Prediction]:
        """Predict by the sliding windows of `test_cfg`, the logits of a band of rows at a time.

        The labels are those of mmsegmentation's `slide_inference`: (H', W') for each image.
        """
        maps = self._slide(inputs, self._decide).maps()
        for index, sample in enumerate(data_samples):
            images = (labels[index, None, None] for labels in maps)
            yield Prediction(*(restore(image, sample.metainfo)[0, 0] for image in images))

    def predict_logits_at_original(
        self, inputs: Tensor, data_samples: SampleList
    ) -> Iterator[Prediction]:
        """Predict logits (K, H', W') at the original pictures' pixels, see `logits_at_original`."""
        sliding = self.test_cfg.get("mode") == "slide"
        find = self._sliding_logits if sliding else self._rendered_logits
        for image, sample in zip(inputs.split(1), data_samples, strict=True):
            yield find(image, sample).map(lambda logits: logits[0])

    def _rendered_logits(self, image: Tensor, sample: SegDataSample) -> Prediction:
        size = (image.shape[2], image.shape[3])
        meta = self._output_meta(sample, size)

        def to_picture(logits: Tensor) -> Tensor:
            grid = (logits.shape[2], logits.shape[3])
            return warp_map(logits, restoring_warp(meta, size, grid))

        return self._render(image, self._extra_steps()).map(to_picture)

    def _sliding_logits(self, image: Tensor, sample: SegDataSample) -> Prediction:
        logits = self._slide(image, torch.clone)
        return logits.map(lambda found: restore(found, sample.metainfo))

    def _slide(self, inputs: Tensor, finish: Callable[[Tensor], Tensor]) -> Prediction:
        """Predict windows, and lay what `finish` makes of the rows' mean logits together.

        Args:
            inputs: (N, 3, H, W).
            finish: (N, K, R, W) logits -> (N, ..., R, W).

        Returns:
            (N, ..., H, W).
        """

        def predict(window: Window) -> list[Tensor]:
            rows, columns = window.slices
            pixels = inputs[..., rows, columns]
            size = (pixels.shape[2], pixels.shape[3])
            found = self._render(pixels)
            return found.map(lambda logits: self.decode_head.predict_by_feat(logits, size)).maps()

        size = (inputs.shape[2], inputs.shape[3])
        windows = list_windows(size, self.test_cfg.crop_size, self.test_cfg.stride)
        whole: list[Tensor] = []
        for rows, maps in slide_labels(windows, size, predict, finish):
            whole = whole or [found.new_empty(*found.shape[:-2], *size) for found in maps]
            for target, found in zip(whole, maps, strict=True):
                target[..., rows, :] = found
        return Prediction(*whole)

    def _render(self, inputs: Tensor, extra_steps: int = 0) -> Prediction:
        """Render (N, K, h', w') logits; the coarse ones are (N, K, h, w)."""
        features = self.extract_feat(inputs)
        if not self.predict_coarse:
            return Prediction(self.decode_head.predict_logits(features, extra_steps))
        coarse = self.decode_head.coarse_prediction(features)
        return Prediction(self.decode_head.predict_logits(features, extra_steps, coarse), coarse)

    def _decide(self, logits: Tensor) -> Tensor:
        """Decide: (N, K, ...) logits -> (N, ...) labels."""
        return decide(logits, self.decode_head.threshold)

    def postprocess_result(
        self, seg_logits: Tensor, data_samples: OptSampleList = None
    ) -> SampleList:
        """Undo padding, flipping and resizing of (N, K, H, W) logits, and decide.

        The logits are at the network's input size; arguments and results are those of `predict`.
        """
        if data_samples is None:
            data_samples = [SegDataSample() for _ in seg_logits]
        for sample, logits in zip(data_samples, seg_logits.split(1), strict=True):
            self._set_prediction(sample, Prediction(restore(logits, sample.metainfo)[0]))
        return data_samples

    def _set_prediction(self, sample: SegDataSample, logits: Prediction) -> None:
        """Put (K, H', W') logits into a sample: what they decide, and themselves if asked for."""
        _set_labels(sample, logits.map(lambda found: self._decide(found[None])[0]))
        if self.predict_logits:
            sample.set_data(dict(seg_logits=PixelData(data=logits.refined)))


def _set_labels(sample: SegDataSample, labels: Prediction) -> None:
    """Put (H', W') labels into a sample."""
    sample.set_data(dict(pred_sem_seg=PixelData(data=labels.refined[None].long())))
    if labels.coarse is not None:
        sample.set_data(dict(coarse_sem_seg=PixelData(data=labels.coarse[None].long())))


def logits_at_original(
    model: EncoderDecoder, inputs: Tensor, data_samples: SampleList
) -> Iterator[Prediction]:
    """Predict logits, undo padding and flipping and resize: one image at a time.

    Args:
        model: any encoder-decoder, in evaluation mode.
        inputs: (N, 3, H, W), from the model's preprocessor.
        data_samples: N samples whose meta says what the pipeline did, `ori_shape` included.

    Yields:
        (K, *ori_shape) for each image. Nothing else holds it: it may be overwritten.
    """
    if isinstance(model, PointRend):
        yield from model.predict_logits_at_original(inputs, data_samples)
        return
    for image, sample in zip(inputs.split(1), data_samples, strict=True):
        size = image.shape[2:]
        # Or mmsegmentation resizes to `pad_shape`, which a step of the pipeline may have left.
        logits = model.inference(image, [dict(sample.metainfo, img_shape=size)])
        found = restore(logits, sample.metainfo, model.align_corners)
        yield Prediction(found[0])


def _only_moves(inputs: Tensor, data_samples: SampleList) -> bool:
    """Whether the inputs' pixels are the original pictures', padding apart."""
    size = (inputs.shape[2], inputs.shape[3])
    warps = (restoring_warp(sample.metainfo, size) for sample in data_samples)
    return not any(mixes_pixels(warp, size) for warp in warps)
