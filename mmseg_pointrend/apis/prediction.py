"""Predicting the label map of an image file, however large the image."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

import mmseg_pointrend.models  # noqa: F401 - fills the registry
from mmseg_pointrend.apis.configs import check_checkpoint, prepare_config
from mmseg_pointrend.apis.images import check_labels_path, write_labels
from mmseg_pointrend.apis.reading import (
    apply_test_pipeline,
    load_image,
    step_name,
    test_pipeline,
)
from mmseg_pointrend.core import Window, decide, list_windows, slide_labels
from mmseg_pointrend.datasets.traced_pipeline import check_undone_by_mmseg
from mmseg_pointrend.engine.weights_check import load_weights


def predict(
    config_path: str | Path,
    checkpoint: str | Path,
    image: str | Path,
    out: str | Path,
    window: tuple[int, int] | None = None,
    stride: tuple[int, int] | None = None,
    device: str | None = None,
    options: dict | None = None,
    allow_unset: bool = False,
) -> np.ndarray:
    """Predict an image file, and write its label map as a PNG file.

    The image is read and predicted as in testing: by the config's test pipeline, whole or in the
    sliding windows of `test_cfg`. If `window` is given, the windows see the image as it was loaded,
    at its native size; the pipeline's other steps, such as resizing, are left out, and named.

    Args:
        config_path: config file.
        checkpoint: weights.
        image: image file.
        out: PNG file to write: the index of each pixel's class, from 0, in 8 bits (16 bits for
            more than 256 classes).
        window: (height, width) of a sliding window, pixels.
        stride: (down, right), from one window to the next, pixels; two thirds of the window by
            default.
        device: where the model runs; by default a GPU if torch sees one.
        options: dotted config keys and values that override the file.
        allow_unset: go on although the checkpoint leaves weights of the model at initial values.

    Returns:
        (H, W), what was written.

    Raises:
        FileNotFoundError: if the config, the checkpoint or the image does not exist.
        ValueError: for a damaged image, settings out of range, or weights of another model.
    """
    check_labels_path(out)
    config = prepare_config(config_path, options=options)
    pipeline = test_pipeline(config)
    window, stride = _choose_windows(window, stride)
    model = load_model(config, checkpoint, device, allow_unset)
    if window is None:
        labels = predict_whole(model, pipeline, image)
    else:
        _name_steps_left_out(pipeline)
        labels = predict_sliding(model, load_image(pipeline, image)["img"], window, stride)
    write_labels(out, labels)
    return labels


def load_model(
    config: Config,
    checkpoint: str | Path,
    device: str | None = None,
    allow_unset: bool = False,
) -> nn.Module:
    """Build a config's model and load its weights, ready to predict.

    Args:
        config: as `prepare_config` gives it.
        checkpoint: weights, opened with `weights_only=True`.
        device: where to put it; by default a GPU if torch sees one.
        allow_unset: go on although the checkpoint leaves weights of the model at initial values.

    Raises:
        FileNotFoundError: if the checkpoint does not exist.
        ValueError: for a device that is not there, or weights of another model.
    """
    place = _choose_device(device)
    check_checkpoint(checkpoint)
    config.model.pretrained = None  # the checkpoint replaces these weights
    model = MODELS.build(config.model)
    load_weights(model, checkpoint, allow_unset)
    return model.to(place).eval()


@torch.no_grad()
def predict_whole(model: nn.Module, pipeline: list[dict], image: str | Path) -> np.ndarray:
    """Predict an image file as in testing, in sliding windows if the model's `test_cfg` says so.

    Args:
        model: any segmentor.
        pipeline: configs of the steps, from loading on (`reading.test_pipeline`).
        image: the file.

    Returns:
        (H, W), uint8, or uint16 for more than 256 classes.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a damaged image, or a pipeline that does not begin with loading it or does
            what cannot be undone.
    """
    item = apply_test_pipeline(pipeline, image)
    if not getattr(model, "follows_undo", False):
        check_undone_by_mmseg([item["data_samples"]], "the test pipeline")
    (sample,) = model.test_step(pseudo_collate([item]))
    return sample.pred_sem_seg.data[0].cpu().numpy().astype(_label_dtype(model))


@torch.no_grad()
def predict_sliding(
    model: nn.Module, image: np.ndarray, window: tuple[int, int], stride: tuple[int, int]
) -> np.ndarray:
    """Predict an image window by window, in memory that its number of classes does not multiply.

    Besides image and labels, one byte a pixel and channel, only the logits of a band of rows are
    held (`core.slide_labels`); a window is normalised when its turn comes.

    Args:
        model: any encoder-decoder.
        image: (H, W) or (H, W, C), as the test pipeline's first step loads it.
        window: (height, width) of a window, pixels; cut to the image where larger.
        stride: (down, right), from one window to the next, pixels.

    Returns:
        (H, W), uint8, or uint16 for more than 256 classes.

    Raises:
        ValueError: for sizes out of range.
    """
    size = image.shape[:2]
    windows = list_windows(size, window, stride)
    labels = np.empty(size, _label_dtype(model))
    console = Console(stderr=True)
    progress = track(windows, "Predicting", console=console, disable=not console.is_terminal)
    for rows, found in slide_labels(
        progress, size, partial(_window_logits, model, image), partial(_decide, model)
    ):
        labels[rows] = found[0][0].cpu().numpy()
    return labels


def _window_logits(model: nn.Module, image: np.ndarray, window: Window) -> Sequence[Tensor]:
    """Predict a window's (1, K, h, w) logits, the only ones."""
    pixels = torch.from_numpy(np.atleast_3d(image[window.slices])).permute(2, 0, 1)
    # The preprocessor records in the sample how it pads, to the right and below.
    batch = dict(inputs=[pixels], data_samples=[SegDataSample()])
    inputs = model.data_preprocessor(batch, training=False)["inputs"]
    logits = model.encode_decode(inputs, [dict(img_shape=inputs.shape[2:])])
    return [logits[..., : pixels.shape[1], : pixels.shape[2]]]


def _decide(model: nn.Module, logits: Tensor) -> Tensor:
    """Turn (N, K, R, W) logits into (N, R, W) labels, for heads of any kind."""
    return decide(logits, getattr(model.decode_head, "threshold", None))


def _label_dtype(model: nn.Module) -> type[np.integer]:
    return np.uint8 if model.num_classes <= 256 else np.uint16


def _choose_windows(
    window: tuple[int, int] | None, stride: tuple[int, int] | None
) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Complete and check the window and stride that were asked for; None: as the config says."""
    if window is None:
        if stride is not None:
            raise ValueError("stride is that of sliding windows: give a window too")
        return None, None
    window = tuple(window)
    stride = tuple(stride or (max(1, 2 * side // 3) for side in window))
    list_windows(window, window, stride)  # finds sizes out of range before anything is loaded
    return window, stride


def _name_steps_left_out(pipeline: list[dict]) -> None:
    names = [name for name in map(step_name, pipeline[1:]) if name != "PackSegInputs"]
    if names:
        Console(stderr=True).print(
            "The windows see the image at its native size: the test pipeline's "
            f"{', '.join(names)} left out. Without a window, the pipeline is followed.",
            soft_wrap=True,
        )


def _choose_device(name: str | None) -> torch.device:
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device must be cpu, cuda or cuda:<number>, got {name!r}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name}: torch sees {torch.cuda.device_count()} GPUs")
    return device
