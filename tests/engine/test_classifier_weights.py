"""ResNets of torchvision and timm as backbones: which are taken, and what is said of others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.training import train
from mmseg_pointrend.engine.classifier_weights import backbone_of_classifier, is_classifier
from tests.engine.kills import write_config

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3),
          152: (3, 8, 36, 3)}  # fmt: skip


def published(depth: int, deep: bool = False, average: bool = False, **changes: int) -> dict:
    """The names and shapes that torchvision and timm have for a ResNet (He et al., 2015).

    timm's "c" has a deep stem, its "d" shortcuts that average besides (He et al., 2018).
    """
    found: dict[str, Tensor] = {}

    def add(name: str, *shape: int) -> None:
        found[name] = torch.empty(shape, device="meta")

    def norm(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            add(f"{name}.{part}", width)
        add(f"{name}.num_batches_tracked")

    if deep:
        add("conv1.0.weight", 32, 3, 3, 3), norm("conv1.1", 32)
        add("conv1.3.weight", 32, 32, 3, 3), norm("conv1.4", 32)
        add("conv1.6.weight", 64, 32, 3, 3)
    else:
        add("conv1.weight", 64, 3, 7, 7)
    norm("bn1", 64)
    bottleneck, groups = depth >= 50, changes.get("groups", 1)
    inside, expansion = 64, 4 if bottleneck else 1
    for stage, count in enumerate(BLOCKS[depth], 1):
        for block in range(count):
            name, planes = f"layer{stage}.{block}", 64 * 2 ** (stage - 1)
            width = planes * changes.get("width_per_group", 64) // 64 * groups
            kernels = (1, 3, 1) if bottleneck else (3, 3)
            widths = (width, width, 4 * planes) if bottleneck else (planes, planes)
            before = inside
            for number, (kernel, out) in enumerate(zip(kernels, widths, strict=True), 1):
                each = before // groups if bottleneck and number == 2 else before
                add(f"{name}.conv{number}.weight", out, each, kernel, kernel)
                norm(f"{name}.bn{number}", out)
                before = out
            if block == 0 and (stage > 1 or bottleneck):
                add(f"{name}.downsample.{int(average)}.weight", before, inside, 1, 1)
                norm(f"{name}.downsample.{int(average) + 1}", before)
            inside = expansion * planes
    add("fc.weight", 1000, inside), add("fc.bias", 1000)
    return found


def backbone(type: str, depth: int, **settings: int) -> dict[str, Tensor]:
    """Names and shapes of a model that has a backbone of mmsegmentation's, and a head."""
    model = nn.Module()
    with DefaultScope.overwrite_default_scope("mmseg"), torch.device("meta"):
        model.backbone = MODELS.build(dict(type=type, depth=depth, **settings))
        model.decode_head = nn.Conv2d(2048, 19, 1)
    return model.state_dict()


RESNEXT = dict(groups=32, width_per_group=4)


@pytest.mark.parametrize(
    ("weights", "model"),
    [
        *((dict(depth=depth), dict(type="ResNet", depth=depth)) for depth in BLOCKS),
        (dict(depth=50, deep=True), dict(type="ResNetV1c", depth=50)),
        (dict(depth=101, deep=True), dict(type="ResNetV1c", depth=101)),
        (dict(depth=18, deep=True, average=True), dict(type="ResNetV1d", depth=18)),
        (dict(depth=50, deep=True, average=True), dict(type="ResNetV1d", depth=50)),
        (dict(depth=50, **RESNEXT), dict(type="ResNeXt", depth=50, groups=32, base_width=4)),
    ],
    ids=str,
)
def test_all_weights_but_the_classifiers_are_the_backbones(weights: dict, model: dict) -> None:
    there, here = published(**weights), backbone(**model)
    assert is_classifier(there) and not is_classifier(here)
    found = backbone_of_classifier("x.pth", there, here)
    expected = {key: value.shape for key, value in here.items() if key.startswith("backbone.")}
    expected = {key: shape for key, shape in expected.items() if not key.endswith("tracked")}
    assert {key: value.shape for key, value in found.items()} == expected
    assert len(found) == sum(not key.endswith("tracked") for key in there) - 2


@pytest.mark.parametrize(
    ("weights", "model", "message"),
    [
        (dict(depth=50), dict(type="ResNetV1c", depth=50), "one conv.*backbone.type=ResNet$"),
        (dict(depth=50, deep=True), dict(type="ResNet", depth=50), "three .*type=ResNetV1c"),
        (
            dict(depth=50, deep=True, average=True), dict(type="ResNet", depth=50),
            "three convolutions; take model.backbone.type=ResNetV1d",
        ),
        (
            dict(depth=50, deep=True, average=True), dict(type="ResNetV1c", depth=50),
            "its shortcuts average; take model.backbone.type=ResNetV1d",
        ),
        (
            dict(depth=50, deep=True), dict(type="ResNetV1d", depth=50),
            "its shortcuts do not average; take model.backbone.type=ResNetV1c",
        ),
        (
            dict(depth=101), dict(type="ResNet", depth=50),
            r"\[3, 4, 23, 3\] blocks in its stages, the backbone \[3, 4, 6, 3\]",
        ),
        (dict(depth=34), dict(type="ResNet", depth=50), r"layer1.0.bn3.bias, and \d+ are missing"),
        (
            dict(depth=50, width_per_group=128), dict(type="ResNet", depth=50),
            r"layer1.0.conv1.weight is \(128, 64, 1, 1\), and there \(64, 64, 1, 1\)",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_what_differs_is_said(weights: dict, model: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^checkpoint x.pth is a classifier .*{message}"):
        backbone_of_classifier("x.pth", published(**weights), backbone(**model))


def test_parts_that_the_backbone_has_not_are_named() -> None:
    weights = published(50) | {"layer1.0.se.fc1.weight": torch.empty(16, 256, 1, 1)}
    with pytest.raises(ValueError, match=r"1 of its weights have no place .*\(layer1.0.se.fc1.w"):
        backbone_of_classifier("x.pth", weights, backbone("ResNet", 50))
    with pytest.raises(ValueError, match="the backbone is no ResNet"):
        backbone_of_classifier("x.pth", weights, nn.Conv2d(1, 1, 1).state_dict())


@pytest.fixture(scope="module")
def config_path(tmp_path_factory) -> Iterator[Path]:
    yield write_config(tmp_path_factory.mktemp("classifier"), iterations=6)


def classifier_of(config_path: Path) -> dict[str, Tensor]:
    """Weights for the small model's backbone, as a classifier has them."""
    torch.manual_seed(7)
    backbone = MODELS.build(prepare_config(config_path).model).backbone
    weights = {key: torch.rand_like(value.float()) for key, value in backbone.state_dict().items()}
    return weights | {"fc.weight": torch.ones(10, 128), "fc.bias": torch.ones(10)}


def test_a_training_starts_from_a_classifier(config_path: Path, tmp_path: Path, capfd) -> None:
    weights = classifier_of(config_path)
    torch.save(weights, tmp_path / "resnet.pth")
    options = {"load_from": str(tmp_path / "resnet.pth"), "optim_wrapper.optimizer.lr": 0.0}
    runner = train(config_path, tmp_path / "work", options=options)
    for name, value in runner.model.backbone.named_parameters():
        assert torch.equal(value, weights[name]), name
    (said,) = (line for line in "".join(capfd.readouterr()).splitlines() if "Weights from" in line)
    count = sum(not key.endswith("tracked") for key in weights) - 2
    assert f"resnet.pth: {count} of " in said and "initial values: neck." in said


def test_another_classifier_ends_a_training_before_it_begins(
    config_path: Path, tmp_path: Path
) -> None:
    torch.save(classifier_of(config_path), tmp_path / "resnet.pth")
    options = {"load_from": str(tmp_path / "resnet.pth"), "model.backbone.type": "ResNetV1c"}
    with pytest.raises(ValueError, match="resnet.pth is a classifier .*backbone.type=ResNet$"):
        train(config_path, tmp_path / "work", options=options)
