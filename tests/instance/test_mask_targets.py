"""What masks should be: as mmdet says, and without a mask in floats for every box."""

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures.mask import PolygonMasks
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmseg_pointrend.instance import mask_targets
from mmseg_pointrend.instance.mask_targets import coarse_targets, point_targets, true_masks
from tests.instance.heads import truths

SIZE = (50, 70)


def polygons(number: int) -> PolygonMasks:
    """Triangles, of which the first instance has two."""
    corners = np.array([5.0, 5, 60, 8.5, 20, 45])
    own = [[corners + n, corners[::-1] - n] if n == 0 else [corners + n] for n in range(number)]
    return PolygonMasks(own, *SIZE)


@pytest.mark.parametrize("kind", ["bitmaps", "polygons"])
@pytest.mark.parametrize("at_a_time", [1, 2, 1000])
def test_they_are_mmdets(kind: str, at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_targets, "_CACHE", 4 * at_a_time * SIZE[0] * SIZE[1])
    results, instances = truths([5, 0, 4], SIZE)
    if kind == "polygons":
        for one in instances:
            one.masks = polygons(len(one.labels))
    with DefaultScope.overwrite_default_scope("mmdet"):
        loss = dict(type="CrossEntropyLoss", use_mask=True)
        head = MODELS.build(dict(type="FCNMaskHead", num_convs=0, in_channels=4, loss_mask=loss))
        point_head = MODELS.build(dict(type="MaskPointHead", num_classes=5, loss_point=loss))
    expected = head.get_targets(results, instances, ConfigDict(mask_size=7))
    groups = list(true_masks(results, instances))
    found = coarse_targets(groups, (7, 7))
    assert torch.equal(found, expected) and 0 < found.mean() < 1

    points = torch.rand(9, 11, 2, generator=torch.Generator().manual_seed(0))
    rois = torch.cat(
        [
            torch.cat([torch.full((len(r.pos_priors), 1), float(n)), r.pos_priors], dim=1)
            for n, r in enumerate(results)
        ]
    )
    config = ConfigDict(num_points=11)
    expected = point_head.get_targets(rois, points, results, instances, config)
    found = point_targets(groups, points)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert 0 < found.mean() < 1


class LargestFloat(TorchDispatchMode):
    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.is_floating_point():
            self.numel = max(self.numel, result.numel())
        return result


def test_no_mask_in_floats_for_every_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_targets, "_CACHE", 4 * 2 * SIZE[0] * SIZE[1])
    results, instances = truths([40], SIZE)
    points = torch.rand(40, 20, 2)
    with LargestFloat() as largest:
        groups = list(true_masks(results, instances))
        coarse_targets(groups, (7, 7))
        point_targets(groups, points)
    assert largest.numel <= 2 * SIZE[0] * SIZE[1]
