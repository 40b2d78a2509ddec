"""Small RoI heads, ours and mmdet's, and what they are given."""

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.models.task_modules import SamplingResult
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import Tensor, nn

import mmseg_pointrend.instance  # noqa: F401 - registers the heads

STRIDES = [4, 8]
BOX_ROI_EXTRACTOR = dict(
    type="SingleRoIExtractor",
    roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=0),
    out_channels=16,
    featmap_strides=STRIDES,
)
TEST = dict(score_thr=0.05, nms=dict(type="nms", iou_threshold=0.5), max_per_img=100)


def box_head(num_classes: int) -> dict:
    return dict(
        type="Shared2FCBBoxHead",
        in_channels=16,
        fc_out_channels=16,
        roi_feat_size=7,
        num_classes=num_classes,
        bbox_coder=dict(type="DeltaXYWHBBoxCoder"),
    )


def build_ours(classes: int = 5, **mask_head: object) -> nn.Module:
    """A PointRendStandardRoIHead; what is given overrides settings of its mask head."""
    config = dict(
        type="PointRendStandardRoIHead",
        bbox_roi_extractor=BOX_ROI_EXTRACTOR,
        bbox_head=box_head(classes),
        mask_head=dict(
            type="PointRendMaskHead",
            coarse_head=dict(in_channels=16, conv_out_channels=8, fc_out_channels=24),
            point_head=dict(in_channels=16, channels=24),
        )
        | mask_head,
        test_cfg=ConfigDict(TEST, mask_thr_binary=0.5),
    )
    return randomize(MODELS.build(config))


def build_theirs(num_classes: int = 5) -> nn.Module:
    """mmdet's PointRendRoIHead of the same size."""
    classes = dict(num_classes=num_classes)
    extractor = dict(
        type="GenericRoIExtractor",
        aggregation="concat",
        roi_layer=dict(type="SimpleRoIAlign", output_size=14),
        out_channels=16,
        featmap_strides=[4],
    )
    config = dict(
        type="PointRendRoIHead",
        bbox_roi_extractor=BOX_ROI_EXTRACTOR,
        bbox_head=box_head(num_classes),
        mask_roi_extractor=extractor,
        mask_head=dict(
            type="CoarseMaskHead",
            num_fcs=2,
            in_channels=16,
            conv_out_channels=8,
            fc_out_channels=24,
            loss_mask=dict(type="CrossEntropyLoss", use_mask=True),
            **classes,
        ),
        point_head=dict(type="MaskPointHead", in_channels=16, fc_channels=24, **classes),
        train_cfg=None,
        test_cfg=ConfigDict(
            TEST,
            mask_thr_binary=0.5,
            subdivision_steps=5,
            subdivision_num_points=784,
            scale_factor=2,
        ),
    )
    head = randomize(MODELS.build(config))
    head.train_cfg = ConfigDict(
        mask_size=7, num_points=196, oversample_ratio=3, importance_sample_ratio=0.75
    )
    return head


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights of which every layer gives values of the size of its inputs."""
    generator = torch.Generator().manual_seed(seed)
    for weights in module.parameters():
        fan_in = weights[0].numel() if weights.dim() > 1 else 4
        weights.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
    return module


def feature_maps(images: int, size: tuple[int, int], seed: int = 0) -> list[Tensor]:
    """Maps of strides 4 and 8 of images of a size, 16 channels."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(images, 16, size[0] // stride, size[1] // stride, generator=generator)
        for stride in STRIDES
    ]


def random_boxes(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Boxes (R, 4) in pictures of a size, some of which reach over the edge."""
    scale = torch.tensor([size[1], size[0]] * 2)
    corners = torch.rand(count, 2, 2, generator=generator) * 1.1 - 0.05
    corners = corners.sort(dim=1).values.flatten(1) * scale
    corners[:, 2:] += 2
    return corners


def truths(
    counts: Sequence[int], size: tuple[int, int], num_classes: int = 5, seed: int = 0
) -> tuple[list[SamplingResult], list[InstanceData]]:
    """Positive boxes of images, and the instances whose they are; so many boxes in each image."""
    generator = torch.Generator().manual_seed(seed)
    results, found = [], []
    for count in counts:
        number = max(1, count // 2) if count else 0
        masks = (torch.rand(number, *size, generator=generator) > 0.4).numpy().astype(np.uint8)
        labels = torch.randint(num_classes, (number,), generator=generator)
        boxes = random_boxes(number, size, generator)
        found.append(
            InstanceData(bboxes=boxes, labels=labels, masks=BitmapMasks(list(masks), *size))
        )
        # In the picture, as a detector clips them: else mmdet does, in place, half-way through.
        priors = random_boxes(count, size, generator).clamp(min=0)
        priors = priors.minimum(torch.tensor([size[1], size[0]] * 2))
        assigned = torch.randint(max(1, number), (count,), generator=generator)
        result = SamplingResult.__new__(SamplingResult)
        result.pos_priors, result.pos_assigned_gt_inds = priors, assigned
        result.pos_gt_labels = labels[assigned] if count else labels
        result.neg_priors = priors[:0]
        results.append(result)
    return results, found


def build_detector(
    roi_head: str = "PointRendStandardRoIHead", num_classes: int = 3, **mask_head: object
) -> nn.Module:
    """A small Mask R-CNN, or Cascade Mask R-CNN, with PointRend; input as uint8 pictures."""
    with DefaultScope.overwrite_default_scope("mmdet"):
        detector = randomize(MODELS.build(detector_config(roi_head, num_classes, **mask_head)))
    # Boxes near their anchors, and not all of the same class.
    for name, weights in detector.named_parameters():
        if "rpn_reg" in name or "fc_reg" in name or "fc_cls" in name:
            weights.data *= 1e-4
    return detector


def detector_config(
    roi_head: str = "PointRendStandardRoIHead", num_classes: int = 3, **mask_head: object
) -> ConfigDict:
    """Config of `build_detector`'s model."""
    stages = 2 if "Cascade" in roi_head else 1
    rcnn = dict(
        assigner=dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5),
        sampler=dict(type="RandomSampler", num=16, pos_fraction=0.5, add_gt_as_proposals=True),
        pos_weight=-1,
        debug=False,
    )
    box = box_head(num_classes) | dict(reg_class_agnostic=stages > 1)
    mask = dict(
        type="PointRendMaskHead",
        coarse_head=dict(in_channels=16, conv_out_channels=8, fc_out_channels=24),
        point_head=dict(in_channels=16, channels=24),
        training_points=dict(num_points=20),
        subdivision=dict(steps=3, num_points=100),
    )
    cascade = dict(num_stages=stages, stage_loss_weights=[1, 0.5]) if stages > 1 else {}
    config = dict(
        type="MaskRCNN",
        data_preprocessor=dict(
            type="DetDataPreprocessor",
            mean=[127.0] * 3,
            std=[60.0] * 3,
            pad_size_divisor=32,
            pad_mask=True,
        ),
        backbone=dict(type="ResNet", depth=18, base_channels=8, stem_channels=8),
        neck=dict(type="FPN", in_channels=[8, 16, 32, 64], out_channels=16, num_outs=5),
        rpn_head=dict(
            type="RPNHead",
            in_channels=16,
            feat_channels=16,
            anchor_generator=dict(
                type="AnchorGenerator", scales=[4], ratios=[1.0], strides=[4, 8, 16, 32, 64]
            ),
            bbox_coder=dict(type="DeltaXYWHBBoxCoder"),
        ),
        roi_head=dict(
            type=roi_head,
            bbox_roi_extractor=BOX_ROI_EXTRACTOR | dict(featmap_strides=[4, 8, 16, 32]),
            bbox_head=box if stages == 1 else [box] * stages,
            mask_head=mask | mask_head,
            **cascade,
        ),
        train_cfg=dict(
            rpn=dict(
                assigner=dict(
                    type="MaxIoUAssigner", pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3
                ),
                sampler=dict(
                    type="RandomSampler", num=16, pos_fraction=0.5, add_gt_as_proposals=False
                ),
                allowed_border=-1,
                pos_weight=-1,
                debug=False,
            ),
            rpn_proposal=dict(
                nms_pre=50, max_per_img=20, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0
            ),
            rcnn=rcnn if stages == 1 else [rcnn] * stages,
        ),
        test_cfg=dict(
            rpn=dict(
                nms_pre=50, max_per_img=10, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0
            ),
            rcnn=TEST | dict(score_thr=0.0, mask_thr_binary=0.5, max_per_img=8),
        ),
    )
    return ConfigDict(config)


def batch_of(*counts: int, size: tuple[int, int] = (64, 96), num_classes: int = 3) -> dict:
    """Pictures with so many objects each, rectangles, as a data loader gives them."""
    generator = torch.Generator().manual_seed(0)
    inputs, samples = [], []
    for number, count in enumerate(counts):
        own = (size[0] - 7 * number, size[1])
        inputs.append(torch.randint(0, 256, (3, *own), generator=generator, dtype=torch.uint8))
        masks = np.zeros((count, *own), np.uint8)
        boxes = torch.zeros(count, 4)
        for index in range(count):
            left, top = 5 + 11 * index, 4 + 6 * index
            masks[index, top : top + 20, left : left + 30] = 1
            boxes[index] = torch.tensor([left, top, left + 30, top + 20])
        truth = InstanceData(
            bboxes=boxes,
            labels=torch.arange(count) % num_classes,
            masks=BitmapMasks(masks, *own),
        )
        sample = DetDataSample(
            gt_instances=truth,
            ignored_instances=InstanceData(bboxes=boxes[:0], labels=torch.zeros(0).long()),
            metainfo=dict(
                img_shape=own, ori_shape=(own[0] // 2, own[1] // 2), scale_factor=(2.0, 2.0)
            ),
        )
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)
