"""The segmentor: mmsegmentation's encoder-decoder, fitted to a rendering head."""

import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor


@MODELS.register_module()
class PointRend(EncoderDecoder):
    """`EncoderDecoder` for a `PointRendHead`; the arguments are the same.

    What it does differently: predictions have the size of what the network was given, padding
    included, in whole and slide inference alike; maps that have the right size already are not
    resized; and with one output channel `seg_logits` holds logits, where mmsegmentation leaves
    probabilities, to which its test-time augmentation then applies the sigmoid a second time.
    """

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
    """Bring logits back to the original image: cut the padding off, flip back, resize.

    Args:
        logits: (1, K, H, W).
        meta: what the pipeline recorded: `img_padding_size` or `padding_size` (left, right, top,
            bottom), `flip`, `flip_direction`, `ori_shape`; each may be missing.

    Returns:
        (1, K, *ori_shape).

    Raises:
        ValueError: for a flip direction other than "horizontal" or "vertical".
    """
    left, right, top, bottom = meta.get("img_padding_size", meta.get("padding_size", (0,) * 4))
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
    return resize(logits, size=size, mode="bilinear", align_corners=False)
