"""The segmentor: mmsegmentation's encoder-decoder, fitted to a rendering head."""

import math
from collections.abc import Iterator

import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from mmseg_pointrend.core import list_windows, slide_labels, warp_map
from mmseg_pointrend.models.restoring import padding, restore, restoring_warp


@MODELS.register_module()
class PointRend(EncoderDecoder):
    """`EncoderDecoder` for a `PointRendHead`; the arguments are the same, and one more.

    What it does differently: it predicts labels without rendering the logits of every pixel, and in
    sliding windows holds the logits of a band of rows only. Predictions have the size of what the
    network was given, padding included; maps that have the right size already are not resized. With
    one output channel `seg_logits` holds logits, where mmsegmentation leaves probabilities, to
    which its test-time augmentation then applies the sigmoid a second time.

    Args:
        *args: see `EncoderDecoder`.
        predict_logits: whether predictions also have `seg_logits`, K values for each pixel of the
            picture. That is what takes the time and the memory of mmsegmentation's PointRend.
        output_scale: size of predictions, relative to the original picture's. Above 1, further
            subdivision steps render beyond the resolution of the input (not in sliding windows).
        **kwargs: see `EncoderDecoder`.

    Raises:
        ValueError: for an output scale that is not positive.
    """

    def __init__(
        self,
        *args: object,
        predict_logits: bool = False,
        output_scale: float = 1.0,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)
        if not output_scale > 0:
            raise ValueError(f"output_scale must be > 0, got {output_scale}")
        self.predict_logits = predict_logits
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
            N samples with `pred_sem_seg` (1, H', W'), int64, and `seg_logits` (K, H', W') if
            `predict_logits`.
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
            sample.set_data(dict(pred_sem_seg=PixelData(data=labels[None].long())))
        return data_samples

    def _rendered_labels(self, inputs: Tensor, data_samples: SampleList) -> list[Tensor]:
        size = tuple(inputs.shape[2:])
        metas = [self._output_meta(sample, size) for sample in data_samples]
        return self.decode_head.predict_labels(
            self.extract_feat(inputs), metas, size, self._extra_steps()
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

        The labels are those of mmsegmentation's `slide_inference`.
        """
        size = tuple(inputs.shape[2:])
        metas = [sample.metainfo for sample in data_samples]
        labels = inputs.new_empty((len(inputs), 1, *size), dtype=torch.int64)
        for rows, found in slide_labels(
            list_windows(size, self.test_cfg.crop_size, self.test_cfg.stride),
            size,
            lambda window: self.encode_decode(inputs[(..., *window.slices)], metas),
            self.decode_head.labels_from_logits,
        ):
            labels[:, 0, rows] = found
        for label, meta in zip(labels.split(1), metas, strict=True):
            yield restore(label, meta)[0, 0]

    def logits_at_original(self, inputs: Tensor, data_samples: SampleList) -> Iterator[Tensor]:
        """Predict logits at the original pictures' pixels, see the function of this name."""
        if self.test_cfg.get("mode") == "slide":
            yield from logits_at_original(self, inputs, data_samples)
            return
        size = tuple(inputs.shape[2:])
        for image, sample in zip(inputs.split(1), data_samples, strict=True):
            logits = self.decode_head(self.extract_feat(image), self._extra_steps())
            meta = self._output_meta(sample, size)
            yield warp_map(logits, restoring_warp(meta, size, logits.shape[2:]))[0]
            del logits

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
        labels = self.decode_head.labels_from_logits(logits[None])
        sample.set_data(dict(pred_sem_seg=PixelData(data=labels)))
        if self.predict_logits:
            sample.set_data(dict(seg_logits=PixelData(data=logits)))


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
