"""The same numbers as mmdet's PointRend with the same weights."""

from collections.abc import Iterator

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from tests.instance.heads import build_ours, build_theirs, feature_maps, random_boxes, truths

SIZE = (64, 96)


@pytest.fixture(autouse=True)
def mmdet_scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


@pytest.fixture
def double_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # mmdet makes its grids of points in single precision, and reads maps of double only there.
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.double)
    yield
    torch.set_default_dtype(torch.float)


@pytest.fixture
def heads(mmdet_scope: None) -> tuple:
    theirs, ours = build_theirs().eval(), build_ours().eval()
    # Under mmdet's names.
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.fixture
def double_heads(heads: tuple, double_precision: None) -> tuple:
    return tuple(head.double() for head in heads)


def test_losses_points_and_gradients(double_heads: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = double_heads
    results, instances = truths([4, 3], SIZE)
    for result in results:
        result.pos_priors = result.pos_priors.double()
    found = []
    for head in (ours, theirs):
        maps = [values.double().requires_grad_() for values in feature_maps(2, SIZE)]
        head.zero_grad()
        torch.manual_seed(3)
        losses = head.mask_loss(maps, results, None, instances)["loss_mask"]
        (losses["loss_mask"] + losses["loss_point"]).sum().backward()
        found.append((losses, maps, head))
    (own, own_maps, _), (other, other_maps, _) = found
    for name in ("loss_mask", "loss_point"):
        assert abs(float(own[name]) - float(other[name])) <= 1e-10
    torch.testing.assert_close(own_maps[0].grad, other_maps[0].grad, rtol=0, atol=1e-10)
    assert own_maps[1].grad is None and other_maps[1].grad is None
    grads = {name: weights.grad for name, weights in theirs.named_parameters()}
    pairs = 0
    for name, weights in ours.named_parameters():
        if "mask_head" not in name:
            continue
        name = name.replace("mask_head.coarse_head.", "mask_head.")
        name = name.replace("mask_head.point_head.", "point_head.").replace("fc_seg", "fc_logits")
        torch.testing.assert_close(weights.grad, grads[name], rtol=0, atol=1e-10)
        pairs += 1
    assert pairs == 2 + 4 + 2 + 6 + 2


def test_training_points_for_a_seed(double_heads: tuple) -> None:
    ours, theirs = double_heads
    logits = torch.randn(6, 5, 7, 7, dtype=torch.double)
    labels = torch.tensor([0, 4, 2, 2, 1, 3])
    torch.manual_seed(5)
    expected = theirs.point_head.get_roi_rel_points_train(logits, labels, theirs.train_cfg)
    torch.manual_seed(5)
    head = ours.mask_head
    found = head.training_points(head._of_classes(logits, labels), head.subdivision.margin)
    assert torch.equal(found, expected)


def detections(counts: list[int], seed: int = 1, num_classes: int = 5) -> list[InstanceData]:
    generator = torch.Generator().manual_seed(seed)
    return [
        InstanceData(
            bboxes=random_boxes(count, SIZE, generator),
            labels=torch.randint(num_classes, (count,), generator=generator),
            scores=torch.rand(count, generator=generator),
        )
        for count in counts
    ]


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("channels_last", [True, False])
def test_masks(heads: tuple, rescale: bool, channels_last: bool) -> None:
    ours, theirs = heads
    order = torch.channels_last if channels_last else torch.contiguous_format
    maps = [m.contiguous(memory_format=order) for m in feature_maps(2, SIZE)]
    metas = [dict(ori_shape=(43, 70), scale_factor=(1.4, 1.5))] * 2
    own = ours.predict_mask(maps, metas, detections([7, 4]), rescale)
    with torch.no_grad():
        other = theirs.predict_mask(maps, metas, detections([7, 4]), rescale)
    for found, expected in zip(own, other, strict=True):
        assert found.masks.shape == expected.masks.shape
        torch.testing.assert_close(found.bboxes, expected.bboxes)
        # Rounding decides about pixels whose probability is nearly 0.5.
        assert (found.masks != expected.masks).sum() <= 2
        assert found.masks.any()


def test_logits_of_the_last_grid(double_heads: tuple) -> None:
    ours, theirs = double_heads
    maps = [values.double() for values in feature_maps(1, SIZE)]
    (results,) = detections([6])
    results.bboxes = results.bboxes.double()
    rois = torch.cat([torch.zeros(6, 1).double(), results.bboxes], dim=1)
    with torch.no_grad():
        coarse = theirs._mask_forward(maps, rois)["mask_preds"]
        expected = theirs._mask_point_forward_test(maps, rois, results.labels, coarse)
        expected = expected[torch.arange(6), results.labels]
        torch.testing.assert_close(
            ours._mask_forward(maps, rois)["mask_preds"], coarse, rtol=0, atol=1e-10
        )
    from mmseg_pointrend.instance.mask_head import Boxes

    boxes = Boxes(rois, results.labels, [4, 8])
    parts = list(ours.mask_head.predict(maps, boxes, 4))
    assert [part.chosen for part in parts] == [slice(0, 4), slice(4, 6)]
    found = torch.cat([part.probabilities for part in parts])
    torch.testing.assert_close(found, expected.sigmoid().to(found.dtype), rtol=0, atol=1e-6)
