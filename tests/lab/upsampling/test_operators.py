"""CARAFE and DySample against loops that follow the papers' formulas, and their heads."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_pointrend.lab.upsampling.carafe import Carafe
from mmseg_pointrend.lab.upsampling.dysample import DySample, sample_moved
from mmseg_pointrend.lab.upsampling.heads import RefinedFPNHead, UpsamplingFPNHead


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randomize(module: torch.nn.Module) -> torch.nn.Module:
    for number, weight in enumerate(module.parameters()):
        weight.data = 0.3 * randn(*weight.shape, seed=number)
    return module.double()


@pytest.mark.parametrize(("scale", "k_up"), [(2, 5), (3, 3)])
def test_carafe_is_the_papers_sum(scale: int, k_up: int) -> None:
    module = randomize(Carafe(4, scale, k_up, k_encoder=3, compressed_channels=6))
    values = randn(2, 4, 5, 7)
    found = module(values)
    # Eq. 2: kernels from the content, W_l' of each pixel l' of the large map, made to sum to 1.
    encoded = F.pixel_shuffle(module.encode(module.compress(values)), scale)
    kernels = encoded.softmax(1)
    radius = k_up // 2
    expected = torch.zeros(2, 4, 5 * scale, 7 * scale, dtype=torch.float64)
    for i in range(5 * scale):
        for j in range(7 * scale):
            row, column = i // scale, j // scale
            for entry in range(k_up**2):
                y, x = row + entry // k_up - radius, column + entry % k_up - radius
                if 0 <= y < 5 and 0 <= x < 7:  # eq. 4
                    weight = kernels[:, entry, i, j]
                    expected[:, :, i, j] += weight[:, None] * values[:, :, y, x]
    torch.testing.assert_close(found, expected)


def test_carafe_keeps_what_is_constant() -> None:
    module = randomize(Carafe(3))
    found = module(torch.full((1, 3, 9, 11), 2.0, dtype=torch.float64))
    inside = found[:, :, 4:-4, 4:-4]
    torch.testing.assert_close(inside, torch.full_like(inside, 2.0))


@pytest.mark.parametrize("scale", [2, 3])
def test_dysample_without_offsets_is_bilinear(scale: int) -> None:
    module = DySample(8, scale).double()
    torch.nn.init.zeros_(module.offset.weight)
    values = randn(2, 8, 5, 7)
    expected = F.interpolate(values, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(module(values), expected)


def test_dysample_moves_each_group_by_its_offsets() -> None:
    """One pixel to the right, or half a pixel down, of a map that is linear."""
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(9.0), indexing="ij")
    values = torch.stack([x, x, 10 * y, 10 * y])[None]
    offsets = torch.zeros(1, 2, 2, 12, 18)
    offsets[:, 0, 0], offsets[:, 1, 1] = 1, 0.5
    moved = sample_moved(values, offsets) - sample_moved(values, torch.zeros_like(offsets))
    inside = moved[0, :, 1:-2, 1:-3]
    torch.testing.assert_close(inside[:2], torch.ones_like(inside[:2]))
    torch.testing.assert_close(inside[2:], torch.full_like(inside[2:], 5.0))


def test_dysample_deals_its_channels_out_as_pixel_shuffle_does() -> None:
    module = randomize(DySample(4, 2, groups=2, scope=0.25))
    values = randn(1, 4, 3, 5)
    predicted = module.offset(values)
    found = module(values)
    for i in range(6):
        for j in range(10):
            for group in range(2):
                # Channels: group, then x and y, then the place in the pixel.
                place = (i % 2) * 2 + j % 2
                dx, dy = (
                    0.25 * predicted[0, (2 * group + axis) * 4 + place, i // 2, j // 2]
                    for axis in (0, 1)
                )
                x = ((j + 0.5) / 2 - 0.5 + dx).clamp(0, 4)
                y = ((i + 0.5) / 2 - 0.5 + dy).clamp(0, 2)
                left, top = int(x), int(y)
                right, bottom = min(left + 1, 4), min(top + 1, 2)
                maps = values[0, 2 * group : 2 * group + 2]
                above = maps[:, top, left] * (1 - x + left) + maps[:, top, right] * (x - left)
                below = maps[:, bottom, left] * (1 - x + left) + maps[:, bottom, right] * (x - left)
                expected = above * (1 - y + top) + below * (y - top)
                torch.testing.assert_close(found[0, 2 * group : 2 * group + 2, i, j], expected)


@pytest.mark.parametrize("kind", [Carafe, DySample])
def test_gradients(kind: type) -> None:
    module = randomize(kind(4))
    values = randn(1, 4, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(module, (values,), atol=1e-4)
    module(values).pow(2).sum().backward()
    for name, weight in module.named_parameters():
        assert weight.grad.isfinite().all() and weight.grad.abs().sum() > 0, name


HEAD = dict(
    in_channels=[8, 8, 8], in_index=[1, 2, 3], feature_strides=[8, 16, 32], channels=16,
    dropout_ratio=0, num_classes=5, norm_cfg=dict(type="BN"),
)  # fmt: skip


def features() -> list[Tensor]:
    """Maps of strides 4 to 32 of a picture of 90x120: sizes that do not divide."""
    sizes = [(23, 30), (12, 15), (6, 8), (3, 4)]
    return [randn(2, 8, *size, seed=number).float() for number, size in enumerate(sizes)]


@pytest.mark.parametrize("kind", ["Carafe", "DySample"])
def test_heads_have_the_operator_for_every_upsampling(kind: str) -> None:
    config = dict(HEAD, type="UpsamplingFPNHead", upsampling=dict(type=kind), enlargements=1)
    head = MODELS.build(config)
    assert isinstance(head, UpsamplingFPNHead)
    names = [type(module).__name__ for module in head.modules()]
    # Strides 16 and 32 to 8, and 8 to 4.
    assert names.count(kind) == 1 + 2 + 1 and "Upsample" not in names
    assert head(features()).shape == (2, 5, 24, 30)


def test_a_head_that_learns_nothing_new_is_fpns() -> None:
    """Without offsets DySample is what it takes the place of."""
    plain = MODELS.build(dict(HEAD, type="FPNHead")).eval()
    config = dict(HEAD, type="UpsamplingFPNHead", upsampling=dict(type="DySample"))
    head = MODELS.build(config).eval()
    missing = head.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing and all(".offset." in name for name in missing)
    for name, weight in head.named_parameters():
        if ".offset." in name:
            torch.nn.init.zeros_(weight)
    torch.testing.assert_close(head(features()), plain(features()), atol=1e-5, rtol=1e-4)


def test_the_decoder_reads_the_fine_map() -> None:
    head = MODELS.build(dict(HEAD, type="RefinedFPNHead", fine_index=0, fine_channels=8)).eval()
    assert isinstance(head, RefinedFPNHead)
    maps = features()
    logits = head(maps)
    assert logits.shape == (2, 5, 23, 30)
    maps[0] = maps[0].clone()
    maps[0][:, :, 11, 15] += 5
    changed = (head(maps) - logits).abs().sum((0, 1)) > 0
    assert changed.sum() == 9 and changed[10:13, 14:17].all()
