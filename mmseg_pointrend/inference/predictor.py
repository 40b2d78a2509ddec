"""Labels of pictures, and how sure they are, by a model that is built."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_pointrend.core import Window, confidence, decide, list_windows, slide_labels
from mmseg_pointrend.inference.reading import apply_test_pipeline, check_undone
from mmseg_pointrend.inference.written import label_dtype
from mmseg_pointrend.models.segmentor import logits_at_original


class Maps(NamedTuple):
    """What is predicted of a picture.

    Attributes:
        labels: (H, W), uint8, or uint16 for more than 256 classes: class indices from 0.
        confidence: (H, W), uint8: 255 times the probability of the pixel's class; None if it was
            not asked for.
    """

    labels: np.ndarray
    confidence: np.ndarray | None = None


@dataclass(frozen=True)
class Windows:
    """Sliding windows over a picture at its native size.

    Attributes:
        size: (height, width) of a window, pixels; cut to the picture where larger.
        stride: (down, right), from one window to the next, pixels.
    """

    size: tuple[int, int]
    stride: tuple[int, int]

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: for sizes below 1, or a stride that leaves pixels between windows.
        """
        list_windows(self.size, self.size, self.stride)

    @classmethod
    def choose(
        cls, size: Sequence[int] | None, stride: Sequence[int] | None = None
    ) -> "Windows | None":
        """Take what was asked for: None without a size, two thirds of it without a stride.

        Raises:
            ValueError: for a stride without a size, or numbers out of range.
        """
        if size is None:
            if stride is not None:
                raise ValueError("stride is that of sliding windows: give a window too")
            return None
        size = tuple(size)
        return cls(size, tuple(stride or (max(1, 2 * side // 3) for side in size)))


@torch.no_grad()
def predict_whole(
    model: nn.Module, pipeline: list[dict], image: str | Path, with_confidence: bool = False
) -> Maps:
    """Predict an image file as in testing, in sliding windows if the model's `test_cfg` says so.

    Args:
        model: any segmentor.
        pipeline: configs of the steps, from loading on (`reading.test_pipeline`).
        image: the file.
        with_confidence: see `predict_batch`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a damaged image, or a pipeline that does not begin with loading it or does
            what cannot be undone.
    """
    (maps,) = predict_batch(model, [apply_test_pipeline(pipeline, image)], with_confidence)
    return maps


@torch.no_grad()
def predict_batch(
    model: nn.Module, items: Sequence[dict], with_confidence: bool = False
) -> list[Maps]:
    """Predict pictures that a test pipeline has prepared.

    Args:
        model: any segmentor; for confidences, one of the kind of `EncoderDecoder`.
        items: `inputs` and `data_samples` of each; all inputs of one size.
        with_confidence: render the logits of every pixel, and tell the probability of its class.

    Raises:
        PipelineError: if the model does not bring its predictions back to the pictures.
    """
    data = pseudo_collate(list(items))
    if with_confidence:
        batch = model.data_preprocessor(data, False)
        # One at a time: nothing else holds the logits of a picture.
        return [_maps_of(model, logits.refined) for logits in logits_at_original(model, **batch)]
    check_undone(model, items)
    samples = model.test_step(data)
    return [Maps(_to_labels(model, sample.pred_sem_seg.data[0])) for sample in samples]


@torch.no_grad()
def predict_sliding(
    model: nn.Module,
    image: np.ndarray,
    windows: Windows,
    with_confidence: bool = False,
    follow: Callable[[Sequence[Window]], Iterable[Window]] = iter,
) -> Maps:
    """Predict an image window by window, in memory that its number of classes does not multiply.

    Besides image and maps, one byte a pixel and channel, only the logits of a band of rows are
    held (`core.slide_labels`); a window is normalised when its turn comes.

    Args:
        model: any encoder-decoder.
        image: (H, W) or (H, W, C), as the test pipeline's first step loads it.
        windows: their size and stride.
        with_confidence: tell the probability of each pixel's class, too.
        follow: gives the windows back one by one; for whoever shows how far it is.
    """
    size = image.shape[:2]
    labels = np.empty(size, label_dtype(model.num_classes))
    sure = np.empty(size, np.uint8) if with_confidence else None
    places = list_windows(size, windows.size, windows.stride)
    finish = partial(_decide_rows, model, with_confidence)
    predict = partial(_window_logits, model, image)
    for rows, found in slide_labels(follow(places), size, predict, finish):
        maps = found[0][0].cpu().numpy()
        labels[rows] = maps[0]
        if sure is not None:
            sure[rows] = maps[1]
    return Maps(labels, sure)


def _to_labels(model: nn.Module, labels: Tensor) -> np.ndarray:
    return labels.cpu().numpy().astype(label_dtype(model.num_classes))


def _maps_of(model: nn.Module, logits: Tensor) -> Maps:
    """Decide by (K, H, W) logits."""
    labels, sure = _decide_rows(model, True, logits[None])[0]
    return Maps(_to_labels(model, labels), sure.cpu().numpy().astype(np.uint8))


def _window_logits(model: nn.Module, image: np.ndarray, window: Window) -> Sequence[Tensor]:
    """Predict a window's (1, K, h, w) logits, the only ones."""
    pixels = torch.from_numpy(np.atleast_3d(image[window.slices])).permute(2, 0, 1)
    # The preprocessor records in the sample how it pads, to the right and below.
    batch = dict(inputs=[pixels], data_samples=[SegDataSample()])
    inputs = model.data_preprocessor(batch, training=False)["inputs"]
    logits = model.encode_decode(inputs, [dict(img_shape=inputs.shape[2:])])
    return [logits[..., : pixels.shape[1], : pixels.shape[2]]]


def _decide_rows(model: nn.Module, with_confidence: bool, logits: Tensor) -> Tensor:
    """Turn (N, K, R, W) logits into (N, 1, R, W) labels, or (N, 2, R, W) with confidences."""
    threshold = _threshold(model)
    labels = decide(logits, threshold)
    if not with_confidence:
        return labels[:, None]
    sure = confidence(logits, threshold).mul_(255).round_()
    return torch.stack([labels, sure.long()], dim=1)


def _threshold(model: nn.Module) -> float | None:
    """Find the threshold of one logit, in heads of any kind; the last of several heads decides."""
    head = model.decode_head
    return getattr(head[-1] if isinstance(head, nn.ModuleList) else head, "threshold", None)
