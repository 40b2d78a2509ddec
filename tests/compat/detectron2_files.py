"""Names and shapes of detectron2's weights, as its published code makes them."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np

Shapes = Iterator[tuple[str, tuple[int, ...]]]

R50, R101 = (3, 4, 6, 3), (3, 4, 23, 3)


def layer(name: str, *shape: int, norm: str = "") -> Shapes:
    """A convolution or a linear layer; normalised by "FrozenBN" or "GN", it has no bias."""
    yield f"{name}.weight", shape
    if not norm:
        yield f"{name}.bias", shape[:1]
    affine, statistics = ("weight", "bias"), ("running_mean", "running_var")
    for part in {"": (), "GN": affine, "FrozenBN": affine + statistics}[norm]:
        yield f"{name}.norm.{part}", shape[:1]


def resnet_and_fpn(blocks: tuple[int, ...]) -> Shapes:
    """A bottleneck ResNet with an FPN of 256 channels."""
    yield from layer("backbone.bottom_up.stem.conv1", 64, 3, 7, 7, norm="FrozenBN")
    inside = 64
    for stage, (count, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True), 2):
        for block in range(count):
            name = f"backbone.bottom_up.res{stage}.{block}"
            if block == 0:
                yield from layer(f"{name}.shortcut", 4 * width, inside, 1, 1, norm="FrozenBN")
            yield from layer(f"{name}.conv1", width, inside, 1, 1, norm="FrozenBN")
            yield from layer(f"{name}.conv2", width, width, 3, 3, norm="FrozenBN")
            yield from layer(f"{name}.conv3", 4 * width, width, 1, 1, norm="FrozenBN")
            inside = 4 * width
        yield from layer(f"backbone.fpn_lateral{stage}", 256, inside, 1, 1)
        yield from layer(f"backbone.fpn_output{stage}", 256, 256, 3, 3)


def semantic_fpn(blocks: tuple[int, ...] = R101, classes: int = 19) -> Shapes:
    """SemanticFPN with PointRend, of configs/SemanticSegmentation there."""
    yield "pixel_mean", (3, 1, 1)
    yield "pixel_std", (3, 1, 1)
    yield from resnet_and_fpn(blocks)
    coarse = "sem_seg_head.coarse_sem_seg_head"
    for name in ("p2.0", "p3.0", "p4.0", "p4.2", "p5.0", "p5.2", "p5.4"):
        inside = 256 if name.endswith(".0") else 128
        yield from layer(f"{coarse}.{name}", 128, inside, 3, 3, norm="GN")
    yield from layer(f"{coarse}.predictor", classes, 128, 1, 1)
    point = "sem_seg_head.point_head"
    for number, inside in ((1, 256 + classes), (2, 256), (3, 256)):
        yield from layer(f"{point}.fc{number}", 256, inside, 1)
    yield from layer(f"{point}.predictor", classes, 256, 1)


def write_pickle(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write arrays as detectron2 publishes them."""
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "detectron2"}))
    return path
