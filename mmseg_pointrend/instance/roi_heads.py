"""RoI heads of mmdet whose mask branch is PointRend; the box branch is theirs."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.task_modules import SamplingResult
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi
from mmengine.model import ModuleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmseg_pointrend.core import SubdivisionStep, paste_masks
from mmseg_pointrend.instance.mask_head import Boxes, Masks


class _PointRendMasks:
    """The mask branch: losses and masks of `PointRendMaskHead`, one or one for each stage."""

    mask_head: Any

    # ---- training --------------------------------------------------------------------------------

    def _masks_loss(
        self,
        head: nn.Module,
        inputs: Sequence[Tensor],
        sampling_results: Sequence[SamplingResult],
        gt_instances: Sequence[InstanceData],
    ) -> dict:
        rois = bbox2roi([result.pos_priors for result in sampling_results])
        labels = torch.cat([result.pos_gt_labels for result in sampling_results])
        counts = [len(result.pos_priors) for result in sampling_results]
        boxes = Boxes(rois, labels, self._strides, counts)
        return dict(loss_mask=head.loss(inputs, boxes, sampling_results, gt_instances))

    # ---- prediction ------------------------------------------------------------------------------

    def predict_mask(
        self,
        x: Sequence[Tensor],
        batch_img_metas: list[dict],
        results_list: list[InstanceData],
        rescale: bool = False,
    ) -> list[InstanceData]:
        """Render the masks of detections, at the pictures' own pixels.

        Args:
            x: feature maps, each (B, C_i, h_i, w_i).
            batch_img_metas: of each picture.
            results_list: of each picture: `bboxes` on the network's input, `labels`.
            rescale: bring boxes and masks back to the original picture.

        Returns:
            the same, with `masks`, (R, H, W) bool; with `coarse_masks` alike if the mask head's
            `predict_coarse` asks for them.
        """
        threshold = self.test_cfg.mask_thr_binary
        for number, (meta, results) in enumerate(zip(batch_img_metas, results_list, strict=True)):
            height, width = meta["ori_shape"][:2]
            # Missing where the pipeline does not resize.
            across, down = map(float, meta.get("scale_factor", (1.0, 1.0)))
            boxes = results.bboxes
            if rescale:
                # Not by a tensor, which would be copied to an accelerator.
                scaled = torch.stack([boxes[:, 0::2] / across, boxes[:, 1::2] / down], dim=2)
                results.bboxes = scaled.flatten(1)
            else:
                width, height = round(width * across), round(height * down)
            inputs = [maps[number : number + 1] for maps in x]
            rois = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], dim=1)
            shape = (len(boxes), height, width)
            masks = torch.zeros(shape, dtype=torch.bool, device=boxes.device)
            coarse = torch.zeros_like(masks) if self._predicts_coarse else None
            sides = (results.bboxes[:, 2:] - results.bboxes[:, :2]).amax(1)
            for found in self._predict(inputs, Boxes(rois, results.labels, self._strides), sides):
                placed = results.bboxes[found.chosen]
                masks[found.chosen] = paste_masks(
                    found.probabilities, placed, (height, width), threshold
                )
                if coarse is not None:
                    coarse[found.chosen] = paste_masks(
                        found.coarse, placed, (height, width), threshold
                    )
            results.masks = masks
            if coarse is not None:
                results.coarse_masks = coarse
        return results_list

    @torch.no_grad()
    def mask_steps(
        self, x: Sequence[Tensor], boxes: Tensor, labels: Tensor
    ) -> tuple[Tensor, Iterator[SubdivisionStep]]:
        """Show every step of the rendering of masks; of a cascade's stages the last one's.

        Args:
            x: feature maps of one picture, each (1, C_i, h_i, w_i).
            boxes: (R, 4), on the network's input.
            labels: (R,), their classes.

        Returns:
            see `PointRendMaskHead.render_steps`.
        """
        head = self._mask_heads[-1]
        rois = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], dim=1)
        return head.render_steps(head.prepare(x), Boxes(rois, labels, self._strides))

    def _predict(self, inputs: Sequence[Tensor], boxes: Boxes, sides: Tensor) -> Iterator[Masks]:
        """Predict; the stages of a cascade are averaged, as probabilities.

        Args:
            inputs: feature maps of one picture.
            boxes: in it.
            sides: (R,), the longer side of each box, pixels of the original picture.
        """
        heads = self._mask_heads
        inputs = heads[0].prepare(inputs)
        count = min(head.boxes_at_a_time(boxes.rois.device) for head in heads)
        for index, steps in self._by_steps(heads[0], sides):
            some = boxes.part(index)
            for parts in zip(*(h.predict(inputs, some, count, steps) for h in heads), strict=True):
                yield _mean(parts)._replace(chosen=index[parts[0].chosen])

    def _by_steps(self, head: nn.Module, sides: Tensor) -> Iterator[tuple[Tensor, int | None]]:
        """Yield numbers of boxes that have as many subdivision steps, and how many these are."""
        every = torch.arange(len(sides), device=sides.device)
        if not head.no_finer_than_picture:
            yield every, None
            return
        steps = head.steps_for(sides)
        for number in steps.unique().tolist():
            yield every[steps == number], number

    # ---- shared by prediction and training -------------------------------------------------------

    @property
    def _mask_heads(self) -> Sequence[nn.Module]:
        own = self.mask_head
        return own if isinstance(own, ModuleList) else [own]

    @property
    def _predicts_coarse(self) -> bool:
        return self._mask_heads[-1].predict_coarse

    @property
    def _strides(self) -> Sequence[int]:
        """Strides of the feature maps, as the box branch is told them."""
        extractor = self.bbox_roi_extractor
        extractor = extractor[0] if isinstance(extractor, ModuleList) else extractor
        return extractor.featmap_strides

    def _build_mask_head(self, config: dict) -> nn.Module:
        box_head = self.bbox_head
        box_head = box_head[0] if isinstance(box_head, ModuleList) else box_head
        return MODELS.build(dict(config) | _num_classes(config, box_head.num_classes))


@MODELS.register_module()
class PointRendStandardRoIHead(_PointRendMasks, StandardRoIHead):
    """mmdet's `StandardRoIHead` with a `PointRendMaskHead`: Mask R-CNN with PointRend (sec. 4).

    `mask_roi_extractor` must be None: PointRend reads features at points by itself, in the maps
    whose strides `bbox_roi_extractor` names. `mask_head.num_classes` is that of `bbox_head`.
    Checkpoints of mmdet's PointRend load as they are.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._register_load_state_dict_pre_hook(_rename_upstream_keys)

    def init_mask_head(self, mask_roi_extractor: dict | None, mask_head: dict) -> None:
        """Build the mask head.

        Raises:
            ValueError: for a RoI extractor.
        """
        _refuse_extractor(mask_roi_extractor)
        self.mask_head = self._build_mask_head(mask_head)

    def mask_loss(
        self,
        x: Sequence[Tensor],
        sampling_results: list[SamplingResult],
        bbox_feats: Tensor,
        batch_gt_instances: list[InstanceData],
    ) -> dict:
        """Compute the losses of the masks: `loss_mask`, a dict of them."""
        return self._masks_loss(self.mask_head, x, sampling_results, batch_gt_instances)

    def _mask_forward(self, x: Sequence[Tensor], rois: Tensor) -> dict:
        """Predict the coarse masks of all classes, (R, K, h, w): mode "tensor" of the detector."""
        labels = torch.zeros(len(rois), dtype=torch.int64, device=rois.device)
        boxes = Boxes(rois, labels, self._strides)
        return dict(mask_preds=self.mask_head.coarse_prediction(x, boxes))


@MODELS.register_module()
class PointRendCascadeRoIHead(_PointRendMasks, CascadeRoIHead):
    """mmdet's `CascadeRoIHead` with a `PointRendMaskHead` for each stage.

    As for `PointRendStandardRoIHead`, `mask_roi_extractor` must be None. The stages' rendered
    probabilities are averaged.
    """

    def init_mask_head(self, mask_roi_extractor: dict | None, mask_head: dict | list[dict]) -> None:
        """Build the mask heads, from one config or from one for each stage.

        Raises:
            ValueError: for a RoI extractor, or another number of configs than of stages.
        """
        _refuse_extractor(mask_roi_extractor)
        configs = mask_head if isinstance(mask_head, list) else [mask_head] * self.num_stages
        if len(configs) != self.num_stages:
            raise ValueError(
                f"mask_head must be one config, or {self.num_stages} for as many stages, got "
                f"{len(configs)}"
            )
        self.mask_head = ModuleList(self._build_mask_head(config) for config in configs)

    def mask_loss(
        self,
        stage: int,
        x: Sequence[Tensor],
        sampling_results: list[SamplingResult],
        batch_gt_instances: list[InstanceData],
    ) -> dict:
        """Compute the losses of the masks of a stage: `loss_mask`, a dict of them."""
        return self._masks_loss(self.mask_head[stage], x, sampling_results, batch_gt_instances)

    def _mask_forward(self, stage: int, x: Sequence[Tensor], rois: Tensor) -> dict:
        """Predict the coarse masks of all classes, (R, K, h, w): mode "tensor" of the detector."""
        labels = torch.zeros(len(rois), dtype=torch.int64, device=rois.device)
        boxes = Boxes(rois, labels, self._strides)
        return dict(mask_preds=self.mask_head[stage].coarse_prediction(x, boxes))


def _mean(parts: Sequence[Masks]) -> Masks:
    """Average the masks that several heads predict of the same boxes."""
    if len(parts) == 1:
        return parts[0]
    coarse = [part.coarse for part in parts if part.coarse is not None]
    return Masks(
        parts[0].chosen,
        torch.stack([part.probabilities for part in parts]).mean(0),
        torch.stack(coarse).mean(0) if coarse else None,
    )


def _refuse_extractor(mask_roi_extractor: dict | None) -> None:
    if mask_roi_extractor is not None:
        raise ValueError(
            "PointRend reads features at points by itself: set roi_head.mask_roi_extractor=None, "
            f"got {mask_roi_extractor.get('type')}"
        )


def _num_classes(config: dict, expected: int) -> dict:
    if config.get("num_classes", expected) != expected:
        raise ValueError(
            f"mask_head.num_classes={config['num_classes']} contradicts "
            f"bbox_head.num_classes={expected}; write it once, in bbox_head"
        )
    return dict(num_classes=expected)


def _rename_upstream_keys(state_dict: dict, prefix: str, *_: object) -> None:
    """Find the parts of mmdet's PointRend where they lie here."""
    mask_head, point_head = f"{prefix}mask_head.", f"{prefix}point_head."
    own = (f"{mask_head}coarse_head.", f"{mask_head}point_head.")
    for key in list(state_dict):
        if key.startswith(mask_head) and not key.startswith(own):
            state_dict[own[0] + key[len(mask_head) :]] = state_dict.pop(key)
        elif key.startswith(point_head):
            name = key[len(point_head) :].replace("fc_logits.", "fc_seg.")
            state_dict[own[1] + name] = state_dict.pop(key)
