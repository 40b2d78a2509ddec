"""Detectors with PointRend: what comes out, and what must not end in an error."""

from collections.abc import Iterator

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmseg.registry import TASK_UTILS
from torch import Tensor, nn

from mmseg_pointrend.instance.mask_head import Boxes
from mmseg_pointrend.models.finite import NotFiniteError
from tests.instance.heads import (
    BOX_ROI_EXTRACTOR,
    batch_of,
    box_head,
    build_detector,
    build_ours,
    feature_maps,
)

HEADS = ["PointRendStandardRoIHead", "PointRendCascadeRoIHead"]
SIZE = (64, 96)


@pytest.fixture(autouse=True)
def mmdet_scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


def losses_of(model: nn.Module, batch: dict) -> dict[str, Tensor]:
    data = model.data_preprocessor(batch, training=True)
    return model.loss(data["inputs"], data["data_samples"])


@pytest.mark.parametrize("roi_head", HEADS)
@pytest.mark.parametrize("counts", [(2, 1), (0, 2), (0, 0), (0,)], ids=str)
@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_training_with_and_without_objects(roi_head: str, counts: tuple, half: bool) -> None:
    model = build_detector(roi_head).train()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        losses = losses_of(model, batch_of(*counts))
    total = model.parse_losses(losses)[0]
    assert total.isfinite()
    total.backward()
    masks = [v for k, v in losses.items() if k.endswith(("loss_mask", "loss_point"))]
    assert len(masks) == (2 if "Standard" in roi_head else 4)
    assert all(bool(value > 0) == any(counts) for value in masks)
    # Distributed training waits for every parameter.
    heads = model.roi_head.mask_head
    assert all(weights.grad is not None for weights in heads.parameters())


@pytest.mark.parametrize("roi_head", HEADS)
@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_prediction(roi_head: str, half: bool) -> None:
    model = build_detector(roi_head, predict_coarse=True).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        results = model.test_step(batch_of(1, 0))
    for number, sample in enumerate(results):
        found = sample.pred_instances
        shape = ((64 - 7 * number) // 2, 48)
        assert len(found) == 8
        for masks in (found.masks, found.coarse_masks):
            assert masks.shape == (8, *shape) and masks.dtype == torch.bool
            assert masks.any()


@pytest.mark.parametrize("roi_head", HEADS)
@pytest.mark.parametrize("score", [2.0, None], ids=["no boxes", "no boxes in one picture"])
def test_prediction_without_boxes(
    roi_head: str, score: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_detector(roi_head, predict_coarse=True).eval()
    if score is not None:
        model.roi_head.test_cfg.score_thr = score
    else:
        predict = model.roi_head.predict_bbox

        def one_is_empty(*args: object, **settings: object) -> list[InstanceData]:
            first, second = predict(*args, **settings)
            return [first[:0], second]

        monkeypatch.setattr(model.roi_head, "predict_bbox", one_is_empty)
    with torch.no_grad():
        first, second = (sample.pred_instances for sample in model.test_step(batch_of(1, 2)))
    assert first.masks.shape == first.coarse_masks.shape == (0, 32, 48)
    assert len(second.masks) == (0 if score else 8)


def predict(head: nn.Module, boxes: list[list[float]], labels: list[int]) -> InstanceData:
    results = InstanceData(bboxes=torch.tensor(boxes), labels=torch.tensor(labels))
    metas = [dict(ori_shape=SIZE)]
    return head.predict_mask(feature_maps(1, SIZE), metas, [results], rescale=True)[0]


@pytest.mark.parametrize("num_classes", [1, 2, 1203])
@pytest.mark.parametrize("class_agnostic", [False, True])
def test_boxes_of_all_kinds(num_classes: int, class_agnostic: bool) -> None:
    head = build_ours(num_classes, class_agnostic=class_agnostic).eval()
    boxes = [[0, 0, 96, 64], [5, 7, 6, 8], [-30, -20, 20, 10], [90, 60, 150, 99], [3, 3, 3, 9.0]]
    found = predict(head, boxes, [num_classes - 1] * len(boxes))
    assert found.masks.shape == (5, *SIZE)
    assert found.masks[0].any() and not found.masks[4].any()
    assert found.masks[1].sum() <= 1 and not found.masks[2, 10:].any()


def test_a_class_agnostic_mask_does_not_depend_on_the_class() -> None:
    head = build_ours(class_agnostic=True).eval()
    assert head.mask_head.point_head.fc_seg.out_channels == 1
    boxes = [[2, 3, 80, 50.0]] * 2
    first, second = predict(head, boxes, [0, 4]).masks
    assert first.any() and torch.equal(first, second)


def test_coarse_masks_are_those_of_28_pixels() -> None:
    head = build_ours(predict_coarse=True).eval()
    boxes = [[2, 3, 80, 50.0], [10, 0, 40, 60]]
    found = predict(head, boxes, [1, 2])
    head.mask_head.subdivision = head.mask_head.subdivision.more_steps(-3)
    assert torch.equal(found.coarse_masks, predict(head, boxes, [1, 2]).masks)
    assert not torch.equal(found.coarse_masks, found.masks)


def test_no_finer_than_the_picture() -> None:
    """Boxes of 28 pixels and less have the coarse masks, large ones all steps; as one by one."""
    boxes = [[2, 3, 30, 31.0], [4, 4, 12, 9], [0, 0, 96, 64], [1, 2, 50, 40]]
    labels = [0, 1, 2, 3]
    head = build_ours(no_finer_than_picture=True, predict_coarse=True).eval()
    sides = torch.tensor([28.0, 8, 96, 49, 57, 1e4, 0])
    assert head.mask_head.steps_for(sides).tolist() == [2, 2, 4, 3, 4, 5, 2]
    found = predict(head, boxes, labels)
    assert torch.equal(found.masks[:2], found.coarse_masks[:2])
    for steps, number in ((4, 2), (3, 3)):
        other = build_ours(subdivision=dict(steps=steps)).eval()
        one = predict(other, boxes[number : number + 1], labels[number : number + 1]).masks[0]
        assert (one != found.masks[number]).float().mean() < 1e-4


def test_parts_of_boxes_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmseg_pointrend.instance import mask_head

    head = build_ours().eval()
    boxes = [[2.0 + n, 3, 80 - n, 50] for n in range(7)]
    whole = predict(head, boxes, [n % 5 for n in range(7)]).masks
    monkeypatch.setattr(mask_head, "_COARSE_CHUNK_ON_CPU", 3)
    monkeypatch.setattr(type(head.mask_head), "boxes_at_a_time", lambda *_: 2)
    parts = predict(head, boxes, [n % 5 for n in range(7)]).masks
    assert (whole != parts).float().mean() < 1e-4


def test_a_picture_of_a_batch_is_as_alone() -> None:
    head = build_ours().eval()
    maps = feature_maps(2, SIZE)
    rois = torch.tensor([[0, 2, 3, 80, 50], [1, 2, 3, 80, 50], [0, 10, 0, 40, 60.0]])
    labels = torch.tensor([1, 2, 3])
    boxes = Boxes(rois, labels, [4, 8])
    together = head.mask_head.coarse_prediction(maps, boxes)
    alone = Boxes(rois[1:2] * torch.tensor([0, 1, 1, 1, 1]), labels[1:2], [4, 8])
    second = head.mask_head.coarse_prediction([m[1:] for m in maps], alone)
    torch.testing.assert_close(together[1:2], second)


def test_weights_of_a_diverged_training_are_named() -> None:
    head = build_ours().eval()
    head.mask_head.point_head.fc_seg.weight.data[3, 0] = torch.nan
    predict(head, [[2, 3, 80, 50.0]], [0])
    with pytest.raises(NotFiniteError, match="logits of the point head"):
        predict(head, [[2, 3, 80, 50.0]], [3])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(num_classes=7), "mask_head.num_classes=7 contradicts bbox_head.num_classes=5"),
        (dict(loss_point=dict(type="CrossEntropyLoss")), "loss_point must be a loss of masks"),
        (dict(subdivision=dict(steps=-1)), "steps must be an integer >= 0"),
        (dict(coarse_head=dict(in_channels=16, num_fcs=-1)), "coarse_head.num_fcs must be >= 0"),
        (
            dict(point_head=dict(in_channels=16, out_channels=4)),
            "point_head takes the number of classes from bbox_head",
        ),
    ],
)
def test_settings_that_contradict(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_ours(**settings)


def test_a_sampler_of_ones_own_is_given_its_own_settings() -> None:
    @TASK_UTILS.register_module(force=True)
    class CornerSampler:
        def __init__(self, side: float) -> None:
            self.side = side

        def __call__(self, logits: Tensor, margin: object) -> Tensor:
            return self.side * torch.rand(len(logits), 9, 2)

    config = dict(type="mmseg.CornerSampler", side=0.25)
    head = build_ours(training_points=config).mask_head
    assert head.training_points(torch.zeros(2, 1, 7, 7), None).max() <= 0.25


def test_a_roi_extractor_is_refused() -> None:
    config = dict(
        type="PointRendStandardRoIHead",
        bbox_roi_extractor=BOX_ROI_EXTRACTOR,
        bbox_head=box_head(5),
        mask_roi_extractor=BOX_ROI_EXTRACTOR,
        mask_head=dict(type="PointRendMaskHead"),
    )
    with pytest.raises(ValueError, match="set roi_head.mask_roi_extractor=None"):
        MODELS.build(config)


def test_maps_that_do_not_fit() -> None:
    head = build_ours(point_head=dict(in_channels=8, channels=24)).eval()
    with pytest.raises(ValueError, match=r"point_head.in_channels=\[8\] does not fit"):
        predict(head, [[2, 3, 80, 50.0]], [0])


def test_several_fine_maps() -> None:
    head = build_ours(point_head=dict(in_channels=[16, 16], in_index=[0, 1], channels=24)).eval()
    assert predict(head, [[2, 3, 80, 50.0]], [0]).masks.any()
