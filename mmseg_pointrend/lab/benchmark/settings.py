"""What a benchmark is asked to measure."""

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

import mmengine
import mmseg
import torch
from mmengine.config import Config

import mmseg_pointrend
from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.training import enable_amp
from mmseg_pointrend.engine.checkpoint_folder import check_checkpoint
from mmseg_pointrend.lab.image_shapes import image_shape, rendering_shape, training_shape
from mmseg_pointrend.lab.scenes.drawing import SMALLEST_SIDE

#: Which models may be measured beside ours.
RIVALS = ("upstream", "coarse", "settings")
LOGITS = ("scenes", "model", "random")
CHANNELS_LAST = ("auto", "on", "off")


@dataclass(frozen=True)
class Settings:
    """What to measure, and how.

    Attributes:
        config: config file.
        checkpoint: weights; random ones without.
        batch: images at a time.
        shape: (H, W) of the network's input, or (S,) for a square; by default an image after the
            test pipeline, or a training crop.
        ori_shape: (H, W) of the labels, as large as the input by default.
        repeat: measured runs of each model.
        warmup: runs before them.
        device: "cpu", "cuda" or "cuda:<number>".
        threads: of the CPU; as torch chooses by default.
        amp: in mixed precision.
        compile: backbone, neck and coarse head through `torch.compile`.
        channels_last: "auto" is what our model does by itself, "on" and "off" force it. Other
            models are given contiguous images, as their users give them.
        train: measure training steps, not predictions.
        logits: what the coarse head is taken to have found: "scenes", logits as of a trained
            network (the default without a checkpoint), "model", what it found (the default with
            one), or "random", the worst case. The coarse head runs in any case.
        versus: the model to compare with: "upstream", mmsegmentation's PointRend with the same
            weights, "coarse", the same model without PointRend, "settings", the same model with its
            network run in each way of `NetworkSettings`, or None.
        options: dotted config keys and values that override the file.
        boxes: of instance models, the numbers of boxes whose masks are measured.
        allow_unset: go on although the checkpoint leaves weights of the model at initial values.
        count: count what a GPU would be asked to do, and time nothing.
        tta: count test-time augmentation: the image in six sizes, each also mirrored.
    """

    config: str
    checkpoint: str | None = None
    batch: int = 1
    shape: tuple[int, ...] | None = None
    ori_shape: tuple[int, ...] | None = None
    repeat: int = 20
    warmup: int = 3
    device: str = "cpu"
    threads: int | None = None
    amp: bool = False
    compile: bool = False
    channels_last: str = "auto"
    train: bool = False
    logits: str | None = None
    versus: str | None = None
    options: dict | None = None
    boxes: tuple[int, ...] = ()
    allow_unset: bool = False
    count: bool = False
    tta: bool = False

    @property
    def torch_device(self) -> torch.device:
        """The device as torch names it."""
        return torch.device(self.device)


def complete_settings(settings: Settings) -> Settings:
    """Check settings and fill in what depends on the config.

    Raises:
        FileNotFoundError: if there is no such config or checkpoint.
        ValueError: for settings out of range, or that contradict each other.
    """
    for name, smallest in (("batch", 1), ("repeat", 1), ("warmup", 0), ("threads", 1)):
        value = getattr(settings, name)
        if value is not None and value < smallest:
            raise ValueError(f"{name} must be an integer >= {smallest}, got {value}")
    for name, choices in (
        ("logits", (None, *LOGITS)),
        ("versus", (None, *RIVALS)),
        ("channels_last", CHANNELS_LAST),
    ):
        if getattr(settings, name) not in choices:
            raise ValueError(f"{name} must be one of {choices}, got {getattr(settings, name)!r}")
    if settings.tta and (not settings.count or settings.train or settings.batch > 1):
        raise ValueError("tta is counted, for one image: give count, and neither train nor batch")
    _check_device(settings.device)
    if settings.checkpoint is not None:
        check_checkpoint(settings.checkpoint)
    logits = settings.logits
    if settings.train:
        if logits not in (None, "model"):
            raise ValueError(
                f"logits={logits!r} would cut the coarse head off its loss; a training needs "
                "logits='model'"
            )
        logits = "model"
    if logits is None:
        logits = "scenes" if settings.checkpoint is None else "model"
    config = load_model_config(settings)
    default = training_shape if settings.train else rendering_shape
    shape = default(config) if settings.shape is None else image_shape(settings.shape)
    ori_shape = shape if settings.ori_shape is None else image_shape(settings.ori_shape)
    if min(shape) < SMALLEST_SIDE:
        raise ValueError(
            f"shape must be at least {SMALLEST_SIDE}x{SMALLEST_SIDE}, the smallest scene that can "
            f"be drawn, got {'x'.join(map(str, shape))}"
        )
    if settings.train and ori_shape != shape:
        raise ValueError("ori_shape is the size of predicted labels; leave it out with train")
    return replace(settings, shape=tuple(shape), ori_shape=tuple(ori_shape), logits=logits)


def load_model_config(settings: Settings) -> Config:
    """Load the config, without weights to download, for this device and precision.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: if it has a list of decode heads, or cannot train in mixed precision.
    """
    config = prepare_config(settings.config, options=settings.options)
    if "roi_head" in config.model:
        raise ValueError("of an instance model the mask branch is measured: give --boxes")
    if isinstance(config.model.decode_head, list | tuple):
        raise ValueError(
            "model.decode_head is a list; PointRend is one head here, decode_head.type="
            "'PointRendHead'"
        )
    config.model.pretrained = None
    if settings.amp and settings.train:
        enable_amp(config)
    return config


def describe_environment(settings: Settings) -> dict:
    """List what timings depend on besides the settings: versions, device, threads."""
    on_gpu = settings.torch_device.type == "cuda"
    return dict(
        device=torch.cuda.get_device_name(settings.torch_device) if on_gpu else cpu_name(),
        threads=torch.get_num_threads(),
        cores=os.cpu_count(),
        python=platform.python_version(),
        torch=torch.__version__,
        cuda=torch.version.cuda if on_gpu else None,
        cudnn_benchmark=torch.backends.cudnn.benchmark if on_gpu else None,
        mmseg=mmseg.__version__,
        mmengine=mmengine.__version__,
        mmseg_pointrend=mmseg_pointrend.__version__,
    )


def cpu_name() -> str:
    """Name the CPU as the system does."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _check_device(device: str) -> None:
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = None
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu, cuda or cuda:<number>, got {device!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}, but torch sees no GPU")
