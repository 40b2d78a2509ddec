"""Labels of pictures, and how sure they are, by a model that is built."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_pointrend.core import Window, confidence, decide, list_windows, slide_labels
from mmseg_pointrend.inference.pixels import Source
from mmseg_pointrend.inference.reading import Read, apply_test_pipeline, check_undone
from mmseg_pointrend.inference.written import label_dtype
from mmseg_pointrend.models.segmentor import logits_at_original


class RenderingStep(NamedTuple):
    """What is there after a subdivision step, or before the first, at the picture's place.

    Attributes:
        labels: (H, W), as `Maps.labels`: what would be predicted after this step.
        runner_up: (H, W), likewise: the next best class of each pixel.
        probabilities: (2, H, W), uint8: 255 times those of the two.
        points: (P, 2), float32, the points predicted anew, the most uncertain first: x and y in
            pixels of the picture, whose pixel i covers [i, i + 1]; outside of it where the network
            saw padding. None, (0, 2), before the first step.
    """

    labels: np.ndarray
    runner_up: np.ndarray
    probabilities: np.ndarray
    points: np.ndarray


class Maps(NamedTuple):
    """What is predicted of a picture; None for what was not asked for.

    Attributes:
        labels: (H, W), uint8, or uint16 for more than 256 classes: class indices from 0.
        confidence: (H, W), uint8: 255 times the probability of the pixel's class.
        logits: (K, H, W), float32.
        steps: of the rendering: the coarse prediction, then each subdivision step.
    """

    labels: np.ndarray
    confidence: np.ndarray | None = None
    logits: np.ndarray | None = None
    steps: list[RenderingStep] | None = None


@dataclass(frozen=True)
class Details:
    """What is asked for besides labels: see `Maps`.

    Attributes:
        confidence: how sure each label is. It takes the logits of every pixel, one picture's at a
            time, in windows those of a band of rows.
        logits: the logits of every pixel.
        steps: the rendering's steps. The network runs a second time for them.
    """

    confidence: bool = False
    logits: bool = False
    steps: bool = False


LABELS = Details()


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


@dataclass(frozen=True)
class LabelPredictor:
    """Predicts label maps of pictures that were read.

    Attributes:
        model: any segmentor, in evaluation mode; for details one of the kind of `EncoderDecoder`.
        details: what is asked for besides labels.
        windows: sliding windows at the pictures' native size; None: as in testing.
        follow: gives the windows of a picture back one by one; for whoever shows how far it is.
    """

    model: nn.Module
    details: Details = LABELS
    windows: Windows | None = None
    follow: Callable[[Sequence[Window]], Iterable[Window]] = iter

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: for details that windows, or the model, do not have.
        """
        for name in ("logits", "steps"):
            if getattr(self.details, name) and self.windows is not None:
                raise ValueError(
                    f"{name} are of whole pictures, and windows hold a band of rows at a time: "
                    f"leave {name} or window out"
                )
        if self.details.steps:
            _check_has_steps(self.model)

    def asked_for(self, details: Details) -> "LabelPredictor":
        """The same predictor for other details."""
        return replace(self, details=details)

    def __call__(self, batch: Sequence[Read]) -> list[Maps]:
        """Predict pictures whose inputs have one size.

        Raises:
            PipelineError: if the model does not bring its predictions back to the pictures.
        """
        if self.windows is None:
            return predict_batch(self.model, [one.item for one in batch], self.details)
        slide = partial(
            predict_sliding,
            self.model,
            windows=self.windows,
            with_confidence=self.details.confidence,
            follow=self.follow,
        )
        return [slide(one.pixels) for one in batch]


@torch.no_grad()
def predict_whole(
    model: nn.Module, pipeline: list[dict], image: Source, details: Details = LABELS
) -> Maps:
    """Predict a picture as in testing, in sliding windows if the model's `test_cfg` says so.

    Args:
        model: any segmentor.
        pipeline: configs of the steps, from loading on (`reading.test_pipeline`).
        image: its file or its pixels.
        details: see `predict_batch`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a damaged image, or a pipeline that does not begin with loading it or does
            what cannot be undone.
    """
    (maps,) = predict_batch(model, [apply_test_pipeline(pipeline, image)], details)
    return maps


@torch.no_grad()
def predict_batch(model: nn.Module, items: Sequence[dict], details: Details = LABELS) -> list[Maps]:
    """Predict pictures that a test pipeline has prepared.

    Args:
        model: any segmentor; for details, one of the kind of `EncoderDecoder`.
        items: `inputs` and `data_samples` of each; all inputs of one size.
        details: what is asked for besides labels.

    Raises:
        PipelineError: if the model does not bring its predictions back to the pictures.
    """
    data = pseudo_collate(list(items))
    if details == LABELS:
        check_undone(model, items)
        samples = model.test_step(data)
        return [Maps(_to_labels(model, sample.pred_sem_seg.data[0])) for sample in samples]
    batch = model.data_preprocessor(data, False)
    # One at a time: nothing else holds the logits of a picture.
    found = [
        _maps_of(model, logits.refined, details) for logits in logits_at_original(model, **batch)
    ]
    if not details.steps:
        return found
    steps = _steps_of(model, **batch)
    return [maps._replace(steps=own) for maps, own in zip(found, steps, strict=True)]


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


def _maps_of(model: nn.Module, logits: Tensor, details: Details) -> Maps:
    """Decide by (K, H, W) logits."""
    found = _decide_rows(model, details.confidence, logits[None])[0]
    return Maps(
        _to_labels(model, found[0]),
        found[1].cpu().numpy().astype(np.uint8) if details.confidence else None,
        logits.float().cpu().numpy() if details.logits else None,
    )


def _check_has_steps(model: nn.Module) -> None:
    if not hasattr(model, "rendering_steps"):
        raise ValueError(
            f"steps are those of a PointRend (model.type='PointRend'), got {type(model).__name__}"
        )
    if model.test_cfg.get("mode") == "slide":
        raise ValueError(
            "steps are of a picture that the network sees at once, and this config predicts in "
            "sliding windows (model.test_cfg.mode='slide'): leave steps out"
        )


def _steps_of(model: nn.Module, inputs: Tensor, data_samples: list) -> list[list[RenderingStep]]:
    """Show the rendering's steps of each picture."""
    return [
        [
            RenderingStep(
                *_to_labels(model, step.classes),
                step.probabilities.mul(255).round().byte().cpu().numpy(),
                step.points.float().cpu().numpy(),
            )
            for step in steps
        ]
        for steps in model.rendering_steps(inputs, data_samples)
    ]


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
