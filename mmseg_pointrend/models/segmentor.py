"""The segmentor: mmsegmentation's encoder-decoder, fitted to a rendering head."""

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from mmseg_pointrend.core import Window, list_windows, slide_labels, warp_map
from mmseg_pointrend.models.class_settings import check_auxiliary_heads
from mmseg_pointrend.models.losses import listed
from mmseg_pointrend.models.restoring import padding, restore, restoring_warp


@MODELS.register_module()
class PointRend(EncoderDecoder):
    """`EncoderDecoder` for a `PointRendHead`; the arguments are the same, and three more.

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
        **kwargs: see `EncoderDecoder`.

    Raises:
        ValueError: for an output scale that is not positive, or an auxiliary head for other classes
            than the decode head's.
    """

    def __init__(
        self,
        *args: object,
        predict_logits: bool = False,
        predict_coarse: bool = False,
        output_scale: float = 1.0,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)
        if self.with_auxiliary_head:
            check_auxiliary_heads(self.decode_head, listed(self.auxiliary_head))
        if not output_scale > 0:
            raise ValueError(f"output_scale must be > 0, got {output_scale}")
        self.predict_logits = predict_logits
        self.predict_coarse = predict_coarse
        self.output_scale = output_scale

    def extract_feat(self, inputs: Tensor) -> list[Tensor]:
        """Extract feature maps; for prediction on a CPU with channels last.

        Convolutions are faster there that way, and all channels of a point lie side by side.
        """
        if not self.training and inputs.device.type == "cpu":
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return super().extract_feat(inputs)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Predict (N, K, H, W) logits for (N, 3, H, W) images."""
        metas = [dict(meta, img_shape=inputs.shape[2:]) for meta in batch_img_metas]
        return super().encode_decode(inputs, metas)

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
        """
        if data_samples is None:
            data_samples = [SegDataSample() for _ in inputs]
        sliding = self.test_cfg.get("mode") == "slide"
        if self.predict_logits or (sliding and not _keeps_size(inputs, data_samples)):
            for sample, logits in zip(
                data_samples, self.logits_at_original(inputs, data_samples), strict=True
            ):
                self._set_prediction(sample, logits)
            return data_samples
        find = self._sliding_labels if sliding else self._rendered_labels
        for sample, labels in zip(data_samples, find(inputs, data_samples), strict=True):
            _set_labels(sample, labels)
        return data_samples

    def _rendered_labels(
        self, inputs: Tensor, data_samples: SampleList
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield (H', W') labels for each image: rendered, and coarse ones with `predict_coarse`."""
        size, head = tuple(inputs.shape[2:]), self.decode_head
        metas = [self._output_meta(sample, size) for sample in data_samples]
        features, steps = self.extract_feat(inputs), self._extra_steps()
        if not self.predict_coarse:
            return zip(head.predict_labels(features, metas, size, steps), strict=True)
        coarse = head.coarse_logits(features)
        return zip(
            head.predict_labels(features, metas, size, steps, coarse),
            head.coarse_labels(coarse, metas, size),
            strict=True,
        )

    def _output_meta(self, sample: SegDataSample, size: tuple[int, int]) -> dict:
        """Put the output's size in the place of the original picture's."""
        meta = sample.metainfo
        *_, last = restoring_warp(meta, size)
        scaled = (max(1, round(side * self.output_scale)) for side in (last.height, last.width))
        return dict(meta, ori_shape=tuple(scaled))

    def _extra_steps(self) -> int:
        """How many more steps reach the output's resolution, as the settings reach the input's."""
        factor = self.decode_head.subdivision.get("scale_factor", 2)
        return max(0, math.ceil(math.log(self.output_scale, factor) - 1e-9))

    def _sliding_labels(self, inputs: Tensor, data_samples: SampleList) -> Iterator[Tensor]:
        """Predict by the sliding windows of `test_cfg`, the logits of a band of rows at a time.

        The labels are those of mmsegmentation's `slide_inference`: (1 or 2, H', W') for each image.
        """
        shape = (len(inputs), 1 + self.predict_coarse, *inputs.shape[2:])
        labels = inputs.new_empty(shape, dtype=torch.int64)
        for rows, found in self._slide(inputs, self._decide):
            labels[:, :, rows] = found
        for label, sample in zip(labels.split(1), data_samples, strict=True):
            yield restore(label, sample.metainfo)[0]

    def logits_at_original(self, inputs: Tensor, data_samples: SampleList) -> Iterator[Tensor]:
        """Predict logits at the original pictures' pixels, see the function of this name.

        With `predict_coarse` there are (2 K, H', W') of them, the coarse ones last.
        """
        sliding = self.test_cfg.get("mode") == "slide"
        find = self._sliding_logits if sliding else self._rendered_logits
        for image, sample in zip(inputs.split(1), data_samples, strict=True):
            yield find(image, sample)[0]

    def _rendered_logits(self, image: Tensor, sample: SegDataSample) -> Tensor:
        size = tuple(image.shape[2:])
        meta = self._output_meta(sample, size)
        maps = self._logit_maps(image, self._extra_steps())
        return _stack(
            [warp_map(found, restoring_warp(meta, size, found.shape[2:])) for found in maps]
        )

    def _sliding_logits(self, image: Tensor, sample: SegDataSample) -> Tensor:
        channels = self.decode_head.out_channels * (1 + self.predict_coarse)
        logits = image.new_empty((1, channels, *image.shape[2:]))
        for rows, found in self._slide(image, torch.clone):
            logits[:, :, rows] = found
        # Apart, or the rounding of one half could depend on the other's being there.
        maps = logits.split(self.decode_head.out_channels, dim=1)
        return _stack([restore(found, sample.metainfo) for found in maps])

    def _slide(
        self, inputs: Tensor, decide: Callable[[Tensor], Tensor]
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows, from the top, and what `decide` makes of their (N, K or 2 K, R, W) logits."""

        def predict(window: Window) -> Tensor:
            pixels = inputs[(..., *window.slices)]
            size, maps = tuple(pixels.shape[2:]), self._logit_maps(pixels)
            return _stack([self.decode_head.predict_by_feat(found, size) for found in maps])

        size = tuple(inputs.shape[2:])
        windows = list_windows(size, self.test_cfg.crop_size, self.test_cfg.stride)
        return slide_labels(windows, size, predict, decide)

    def _logit_maps(self, inputs: Tensor, extra_steps: int = 0) -> list[Tensor]:
        """Render (N, K, h', w') logits; with `predict_coarse` the (N, K, h, w) coarse ones, too."""
        features = self.extract_feat(inputs)
        if not self.predict_coarse:
            return [self.decode_head(features, extra_steps)]
        coarse = self.decode_head.coarse_logits(features)
        return [self.decode_head(features, extra_steps, coarse), coarse]

    def _decide(self, logits: Tensor) -> Tensor:
        """Decide: (N, K or 2 K, ...) logits -> (N, 1 or 2, ...) labels."""
        maps = logits.split(self.decode_head.out_channels, dim=1)
        return torch.stack([self.decode_head.labels_from_logits(found) for found in maps], dim=1)

    def postprocess_result(
        self, seg_logits: Tensor, data_samples: OptSampleList = None
    ) -> SampleList:
        """Undo padding, flipping and resizing of (N, K, H, W) logits, and decide.

        The logits are at the network's input size; arguments and results are those of `predict`.
        """
        if data_samples is None:
            data_samples = [SegDataSample() for _ in seg_logits]
        for sample, logits in zip(data_samples, seg_logits.split(1), strict=True):
            self._set_prediction(sample, restore(logits, sample.metainfo)[0])
        return data_samples

    def _set_prediction(self, sample: SegDataSample, logits: Tensor) -> None:
        _set_labels(sample, self._decide(logits[None])[0])
        if self.predict_logits:
            logits = logits[: self.decode_head.out_channels]
            sample.set_data(dict(seg_logits=PixelData(data=logits)))


def _stack(maps: list[Tensor]) -> Tensor:
    """Join (N, K, H, W) maps along the channels; a single one is not copied."""
    return torch.cat(maps, dim=1) if len(maps) > 1 else maps[0]


def _set_labels(sample: SegDataSample, labels: Iterable[Tensor]) -> None:
    """Put one or two (H', W') label maps into a sample: the prediction, and the coarse one."""
    for field, found in zip(("pred_sem_seg", "coarse_sem_seg"), labels, strict=False):
        sample.set_data({field: PixelData(data=found[None].long())})


def logits_at_original(
    model: EncoderDecoder, inputs: Tensor, data_samples: SampleList
) -> Iterator[Tensor]:
    """Predict logits, undo padding and flipping and resize: one image at a time.

    Args:
        model: any encoder-decoder, in evaluation mode.
        inputs: (N, 3, H, W), from the model's preprocessor.
        data_samples: N samples whose meta says what the pipeline did, `ori_shape` included.

    Yields:
        (K, *ori_shape) for each image. Nothing else holds it: it may be overwritten.
    """
    for image, sample in zip(inputs.split(1), data_samples, strict=True):
        meta = sample.metainfo
        yield restore(model.inference(image, [meta]), meta, model.align_corners)[0]


def _keeps_size(inputs: Tensor, data_samples: OptSampleList) -> bool:
    """Whether the inputs, their padding cut off, have the original images' size."""
    for meta in (sample.metainfo for sample in data_samples or ()):
        left, right, top, bottom = padding(meta)
        size = (inputs.shape[2] - top - bottom, inputs.shape[3] - left - right)
        if tuple(meta.get("ori_shape", size)[:2]) != size:
            return False
    return True
