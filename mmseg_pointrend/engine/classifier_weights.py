"""Weights of ImageNet classifiers, ResNets of torchvision and timm, for backbones to start from.

Their names are those of OpenMMLab's ResNet but for the prefix, and timm's for three convolutions
in place of the first one.
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

_PREFIX = "backbone."
#: The stem of three convolutions: layers in timm -> in mmsegmentation.
_DEEP_STEM = {f"conv1.{number}": f"stem.{number}" for number in (0, 1, 3, 4, 6)} | {"bn1": "stem.7"}
#: The classifier itself.
_LEFT_OUT = re.compile(r"fc\.\w+|.+\.num_batches_tracked")


def is_classifier(weights: Mapping[str, Tensor]) -> bool:
    """Whether weights have the names of a ResNet of torchvision or timm."""
    return "layer1.0.conv1.weight" in weights


def backbone_of_classifier(
    name: object, weights: Mapping[str, Tensor], model: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Give a classifier's weights the names of a model's backbone, and look whether all fit.

    Args:
        name: of the checkpoint, for messages.
        weights: pass `is_classifier`.
        model: parameters and buffers of the model; of the "meta" device, too.

    Returns:
        all weights of the backbone.

    Raises:
        ValueError: if the backbone is another one, saying in what.
    """
    deep = "conv1.0.weight" in weights
    found = {}
    for key, value in weights.items():
        if not _LEFT_OUT.fullmatch(key):
            layer, _, tensor = key.rpartition(".")
            layer = _DEEP_STEM.get(layer, layer) if deep else layer
            found[f"{layer}.{tensor}"] = value
    start = len(_PREFIX)
    expected = {key[start:]: value for key, value in model.items() if key.startswith(_PREFIX)}
    expected = {key: value for key, value in expected.items() if not _LEFT_OUT.fullmatch(key)}
    reason = _difference(found, expected)
    if reason is not None:
        raise ValueError(f"checkpoint {name} is a classifier that model.backbone is not: {reason}")
    return {_PREFIX + key: value for key, value in found.items()}


def _difference(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """Say in what a ResNet is another one than the backbone; None if it is the same."""
    if "layer1.0.conv1.weight" not in expected:
        return "the backbone is no ResNet"
    deep, average = "stem.0.weight", "layer2.0.downsample.2.weight"
    if deep in found and deep not in expected:
        kind = "ResNetV1d" if average in found else "ResNetV1c"
        return f"it begins with three convolutions; take model.backbone.type={kind}"
    if deep in expected and deep not in found:
        return "it begins with one convolution; take model.backbone.type=ResNet"
    if average in found and average not in expected:
        return "its shortcuts average; take model.backbone.type=ResNetV1d"
    if average in expected and average not in found:
        return "its shortcuts do not average; take model.backbone.type=ResNetV1c"
    if _depths(found) != _depths(expected):
        return (
            f"it has {_depths(found)} blocks in its stages, the backbone {_depths(expected)}; take "
            "another model.backbone.depth"
        )
    extra, missing = (
        sorted(a.keys() - b.keys()) for a, b in ((found, expected), (expected, found))
    )
    if extra or missing:
        return (
            f"{len(extra)} of its weights have no place there ({extra[0]})"
            if extra
            else f"it has no {missing[0]}, and {len(missing)} are missing in all"
        )
    for key, value in found.items():
        if value.shape != expected[key].shape:
            return f"{key} is {tuple(value.shape)}, and there {tuple(expected[key].shape)}"
    return None


def _depths(names: Iterable[str]) -> list[int]:
    """Count the blocks of each stage."""
    blocks = {match[0] for name in names if (match := re.match(r"layer(\d)\.\d+\.", name))}
    return [sum(block.startswith(f"layer{stage}.") for block in blocks) for stage in range(1, 5)]
