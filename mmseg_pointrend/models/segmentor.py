"""The segmentor: mmsegmentation's encoder-decoder, fitted to a rendering head."""

from collections.abc import Iterator

import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from mmseg_pointrend.core import list_windows, slide_labels


@MODELS.register_module()
class PointRend(EncoderDecoder):
    """`EncoderDecoder` for a `PointRendHead`; the arguments are the same.

    What it does differently: predictions have the size of what the network was given, padding
    included, in whole and slide inference alike; maps that have the right size already are not
    resized; and with one output channel `seg_logits` holds logits, where mmsegmentation leaves
    probabilities, to which its test-time augmentation then applies the sigmoid a second time. Slide
    inference gives labels without logits, and holds those of a band of rows only, unless the
    logits have to be resized to the original image's size.
    """

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Predict (N, K, H, W) logits for (N, 3, H, W) images."""
        metas = [dict(meta, img_shape=inputs.shape[2:]) for meta in batch_img_metas]
        return super().encode_decode(inputs, metas)

    def predict(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """Predict (N, 3, H, W) images; the result is that of `postprocess_result`.

        Sliding windows whose logits need not be resized leave no `seg_logits`.
        """
        if self.test_cfg.get("mode") == "slide" and _keeps_size(inputs, data_samples):
            return self.predict_sliding(inputs, data_samples)
        return super().predict(inputs, data_samples)

    def predict_sliding(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """Predict by the sliding windows of `test_cfg`, the logits of a band of rows at a time.

        Args:
            inputs: (N, 3, H, W).
            data_samples: N samples, filled in place; their `ori_shape` is the size of the inputs
                without padding.

        Returns:
            N samples with `pred_sem_seg` (1, H', W'), int64: the labels of mmsegmentation's
            `slide_inference`.
        """
        if data_samples is None:
            data_samples = [SegDataSample() for _ in inputs]
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
        for sample, label in zip(data_samples, labels.split(1), strict=True):
            label = restore(label, sample.metainfo)
            sample.set_data(dict(pred_sem_seg=PixelData(data=label[0])))
        return data_samples

    def logits_at_original(self, inputs: Tensor, data_samples: SampleList) -> Iterator[Tensor]:
        """Predict logits at the original images' pixels, see the function of this name."""
        return logits_at_original(self, inputs, data_samples)

    def postprocess_result(
        self, seg_logits: Tensor, data_samples: OptSampleList = None
    ) -> SampleList:
        """Undo padding, flipping and resizing, and decide.

        Args:
            seg_logits: (N, K, H, W), at the network's input size.
            data_samples: N samples whose meta says what the pipeline did; filled in place. Without
                them the predictions stay at the network's input size.

        Returns:
            N samples with `seg_logits` (K, H', W') and `pred_sem_seg` (1, H', W'), int64.
        """
        if data_samples is None:
            data_samples = [SegDataSample() for _ in seg_logits]
        for sample, logits in zip(data_samples, seg_logits.split(1), strict=True):
            logits = restore(logits, sample.metainfo)
            labels = self.decode_head.labels_from_logits(logits)
            sample.set_data(
                dict(seg_logits=PixelData(data=logits[0]), pred_sem_seg=PixelData(data=labels))
            )
        return data_samples


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


def restore(logits: Tensor, meta: dict, align_corners: bool = False) -> Tensor:
    """Bring logits back to the original image: cut the padding off, flip back, resize.

    Args:
        logits: (1, K, H, W); labels too where nothing has to be resized.
        meta: what the pipeline recorded: `img_padding_size` or `padding_size` (left, right, top,
            bottom), `flip`, `flip_direction`, `ori_shape`; each may be missing.
        align_corners: how to resize; as the model's head does.

    Returns:
        (1, K, *ori_shape).

    Raises:
        ValueError: for a flip direction other than "horizontal" or "vertical".
    """
    left, right, top, bottom = _padding(meta)
    height, width = logits.shape[2:]
    logits = logits[:, :, top : height - bottom, left : width - right]
    if meta.get("flip"):
        direction = meta.get("flip_direction")
        if direction not in ("horizontal", "vertical"):
            raise ValueError(f"flip_direction must be horizontal or vertical, got {direction!r}")
        logits = logits.flip(3 if direction == "horizontal" else 2)
    size = torch.Size(meta.get("ori_shape", logits.shape[2:])[:2])
    if logits.shape[2:] == size:
        return logits
    return resize(logits, size=size, mode="bilinear", align_corners=align_corners, warning=False)


def _padding(meta: dict) -> tuple[int, int, int, int]:
    """Pixels left, right, top, bottom."""
    return tuple(meta.get("img_padding_size", meta.get("padding_size", (0,) * 4)))


def _keeps_size(inputs: Tensor, data_samples: OptSampleList) -> bool:
    """Whether the inputs, their padding cut off, have the original images' size."""
    for meta in (sample.metainfo for sample in data_samples or ()):
        left, right, top, bottom = _padding(meta)
        size = (inputs.shape[2] - top - bottom, inputs.shape[3] - left - right)
        if tuple(meta.get("ori_shape", size)[:2]) != size:
            return False
    return True
