"""The segmentor: mmsegmentation's encoder-decoder, fitted to a rendering head."""

import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from mmseg_pointrend.core import Crop, Flip, Resize, warp_map


@MODELS.register_module()
class PointRend(EncoderDecoder):
    """`EncoderDecoder` for a `PointRendHead`; the arguments are the same.

    What it does differently: predictions have the size of what the network was given, padding
    included, in whole and slide inference alike; maps that have the right size already are not
    resized; and with one output channel `seg_logits` holds logits, where mmsegmentation leaves
    probabilities, to which its test-time augmentation then applies the sigmoid a second time.

    Args:
        predict_logits: whether predictions have `seg_logits`, K values for each pixel of the
            picture. Without them only labels are rendered, which is much faster and smaller.
    """

    def __init__(self, *args: object, predict_logits: bool = False, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.predict_logits = predict_logits

    def extract_feat(self, inputs: Tensor) -> list[Tensor]:
        """Extract feature maps; for prediction on a CPU with channels last.

        Convolutions are faster there that way, and all channels of a point lie side by side.
        """
        if not self.training and inputs.device.type == "cpu":
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return super().extract_feat(inputs)

    def predict(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """Predict (N, 3, H, W) images.

        Returns:
            N samples with `pred_sem_seg` (1, H', W'), int64, at the size of the original picture
            (without samples: of the input), and `seg_logits` (K, H', W') if `predict_logits`.
        """
        if self.predict_logits or self.test_cfg.mode != "whole":
            return super().predict(inputs, data_samples)
        if data_samples is None:
            data_samples = [SegDataSample() for _ in inputs]
        size = tuple(inputs.shape[2:])
        warps = [[Resize(*size), *restoring_warp(s.metainfo, size)] for s in data_samples]
        labels = self.decode_head.predict_labels(self.extract_feat(inputs), warps)
        for sample, label in zip(data_samples, labels, strict=True):
            sample.set_data(dict(pred_sem_seg=PixelData(data=label[None].long())))
        return data_samples

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Predict (N, K, H, W) logits for (N, 3, H, W) images."""
        metas = [dict(meta, img_shape=inputs.shape[2:]) for meta in batch_img_metas]
        return super().encode_decode(inputs, metas)

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


def restore(logits: Tensor, meta: dict) -> Tensor:
    """Bring logits (1, K, H, W) back to the original picture: (1, K, *ori_shape).

    See `restoring_warp`.
    """
    return warp_map(logits, restoring_warp(meta, tuple(logits.shape[2:])))


def restoring_warp(meta: dict, size: tuple[int, int]) -> list[Resize | Crop | Flip]:
    """Say how the network's input becomes the original picture: cut padding off, flip, resize.

    Args:
        meta: what the pipeline recorded: `img_padding_size` or `padding_size` (left, right, top,
            bottom), `flip`, `flip_direction`, `ori_shape`; each may be missing.
        size: (H, W) of the network's input.

    Raises:
        ValueError: for a flip direction other than "horizontal" or "vertical".
    """
    left, right, top, bottom = meta.get("img_padding_size", meta.get("padding_size", (0,) * 4))
    height, width = size[0] - top - bottom, size[1] - left - right
    warp: list[Resize | Crop | Flip] = [Crop(top, left, height, width)]
    if meta.get("flip"):
        warp.append(Flip(meta.get("flip_direction")))
    if "ori_shape" in meta:
        warp.append(Resize(*meta["ori_shape"][:2]))
    return warp
