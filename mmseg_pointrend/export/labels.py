"""A segmentor as a module from pictures to labels, with all in between as plain operators."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_pointrend.core import confidence, decide
from mmseg_pointrend.export.pictures import PictureFormat, Preparation
from mmseg_pointrend.export.rendering import render_any_size

#: Types of labels -> the most classes that they tell apart.
LABELS = {"uint8": 256, "int32": 1 << 31}


@dataclass(frozen=True)
class GraphSettings:
    """What a graph takes and gives.

    Attributes:
        pictures: what it takes.
        labels: "uint8" or "int32"; by default the first that holds all classes.
        confidence: whether it also gives the probability of each pixel's class.
        most_at_once: pixels that one top-k may choose (TensorRT: 3840); any number by default. The
            selection is the same.

    Raises:
        ValueError: for a setting out of range.
    """

    pictures: PictureFormat = PictureFormat()
    labels: str | None = None
    confidence: bool = False
    most_at_once: int | None = None

    def __post_init__(self) -> None:
        if self.labels is not None and self.labels not in LABELS:
            raise ValueError(f"labels must be one of {list(LABELS)}, got {self.labels!r}")
        if self.most_at_once is not None and self.most_at_once < 1:
            raise ValueError(f"most_at_once must be >= 1, got {self.most_at_once}")

    def label_type(self, num_classes: int) -> str:
        """Choose the type of labels.

        Raises:
            ValueError: for a type that holds fewer classes.
        """
        name = self.labels or next(name for name, most in LABELS.items() if num_classes <= most)
        if num_classes > LABELS[name]:
            raise ValueError(f"labels: {name} does not hold {num_classes} classes; take int32")
        return name


class LabelGraph(nn.Module):
    """Pictures in, labels out.

    The labels are at the pictures' pixels: a config's resizing of test pictures is not part of it,
    nor are sliding windows.

    Args:
        model: a segmentor with its weights: mmsegmentation's encoder-decoder with one decode head,
            which may be PointRend's. Put into evaluation mode.
        settings: what the graph takes and gives.

    Raises:
        ValueError: for a model of another kind, or settings that do not fit it.
    """

    def __init__(self, model: nn.Module, settings: GraphSettings) -> None:
        super().__init__()
        _check_segmentor(model)
        theirs: Any = model.eval()
        self.preparation = Preparation(theirs.data_preprocessor, settings.pictures)
        self.backbone = theirs.backbone
        self.neck = theirs.neck if theirs.with_neck else nn.Identity()
        self.head = theirs.decode_head
        self.threshold = getattr(self.head, "threshold", None)
        self.dtype = getattr(torch, settings.label_type(self.head.num_classes))
        self.settings = settings

    @property
    def channels(self) -> int:
        """C of the pictures: what the first convolution reads."""
        first = next(part for part in self.backbone.modules() if isinstance(part, nn.Conv2d))
        return first.in_channels

    @property
    def output_names(self) -> list[str]:
        """What comes out, in order."""
        return ["labels", "confidence"] if self.settings.confidence else ["labels"]

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Predict.

        Args:
            pictures: (N, C, H, W), as the settings say.

        Returns:
            labels (N, H, W), and the confidence (N, H, W) in [0, 1] if asked for.
        """
        logits = self.logits(pictures)
        labels = decide(logits, self.threshold).to(self.dtype)
        if not self.settings.confidence:
            return (labels,)
        return labels, confidence(logits, self.threshold)

    def logits(self, pictures: Tensor) -> Tensor:
        """Predict (N, K, H, W) logits at the pictures' pixels."""
        inputs = self.preparation(pictures)
        logits = self.render(self.neck(self.backbone(inputs)))
        corners = not self.renders and self.head.align_corners
        # Not `core.Resize`, which looks whether the sizes are equal: a graph is for both cases.
        logits = F.interpolate(logits, inputs.shape[2:], mode="bilinear", align_corners=corners)
        return logits[:, :, : pictures.shape[2], : pictures.shape[3]]

    @property
    def renders(self) -> bool:
        """Whether the head is PointRend's."""
        return hasattr(self.head, "subdivision")

    def render(self, maps: list[Tensor]) -> Tensor:
        """Make (N, K, h, w) logits of feature maps."""
        head = self.head
        if not self.renders:
            return head(maps)
        coarse = head.coarse_prediction(maps)
        features = head.point_features(maps, coarse)
        return render_any_size(
            coarse,
            lambda points: head.point_logits(features, points),
            head.subdivision,
            self.settings.most_at_once,
        )


def _check_segmentor(model: nn.Module) -> None:
    parts = ("backbone", "decode_head", "data_preprocessor", "with_neck")
    missing = [name for name in parts if not hasattr(model, name)]
    if missing:
        raise ValueError(
            f"{type(model).__name__} has no {missing[0]}: what is exported is an encoder-decoder "
            "of mmsegmentation"
        )
    if isinstance(model.decode_head, nn.ModuleList):
        raise ValueError(
            f"{type(model).__name__} has a list of decode heads; only models with one are "
            "exported, such as PointRend with its PointRendHead"
        )
