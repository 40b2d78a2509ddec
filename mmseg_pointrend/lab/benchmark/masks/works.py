"""What is timed: the masks of boxes in prediction, or their losses and gradients in training."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from mmdet.models.task_modules import AssignResult, SamplingResult
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor, nn

#: Instances whose masks the positive boxes of a training step share.
_TRUTHS = 10


class MaskWork:
    """Random feature maps and boxes of one picture, and a mask branch that is given them.

    Args:
        branch: a RoI head.
        config: whose branch it is.
        boxes: how many.
        shape: (H, W) of the network's input.
        ori_shape: (H, W) of the original picture, whose pixels the masks have.
        train: measure a training step.
        amp: in mixed precision.
        device: "cpu" or "cuda".
    """

    def __init__(
        self,
        branch: nn.Module,
        config: Config,
        boxes: int,
        shape: tuple[int, int],
        ori_shape: tuple[int, int],
        train: bool,
        amp: bool,
        device: torch.device,
    ) -> None:
        self._branch, self._device = branch.to(device).train(train), device
        self._shape, self._ori_shape, self.train, self._amp = shape, ori_shape, train, amp
        generator = torch.Generator().manual_seed(0)
        extractor = config.model.roi_head.bbox_roi_extractor
        self._maps = [
            torch.randn(
                1, extractor.out_channels, -(-shape[0] // stride), -(-shape[1] // stride),
                generator=generator,
            ).to(device)
            for stride in extractor.featmap_strides
        ]  # fmt: skip
        self._boxes = random_boxes(boxes, shape, generator).to(device)
        classes = config.model.roi_head.bbox_head.num_classes
        self._labels = torch.randint(classes, (boxes,), generator=generator).to(device)
        self._sampled = self._sample() if train else None

    def run(self) -> Tensor | None:
        """Do it once: the masks, (R, H, W) bool, or None in training."""
        found = None
        if self.train:
            self.loss().backward()
            self._branch.zero_grad(set_to_none=True)
        else:
            found = self.masks()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return found

    def masks(self) -> Tensor:
        """Predict the masks: (R, H, W), bool."""
        with torch.no_grad(), self._precision():
            return self._masks()

    def loss(self) -> Tensor:
        """Compute the sum of the losses; the feature maps have gradients."""
        with self._precision():
            return self._loss()

    def _precision(self) -> AbstractContextManager:
        return torch.autocast(self._device.type, torch.bfloat16) if self._amp else nullcontext()

    def _masks(self) -> Tensor:
        results = InstanceData(bboxes=self._boxes.clone(), labels=self._labels)
        scale = self._shape[1] / self._ori_shape[1], self._shape[0] / self._ori_shape[0]
        metas = [dict(ori_shape=self._ori_shape, scale_factor=scale)]
        return self._branch.predict_mask(self._maps, metas, [results], rescale=True)[0].masks

    def _loss(self) -> Tensor:
        maps = [values.detach().requires_grad_() for values in self._maps]
        sampled, truths = self._sampled
        losses = self._branch.mask_loss(maps, [sampled], None, [truths])["loss_mask"]
        return torch.stack([v.sum() for name, v in losses.items() if "loss" in name]).sum()

    def _sample(self) -> tuple[SamplingResult, InstanceData]:
        """Take the boxes as positive ones of some rectangles."""
        (height, width), boxes = self._shape, self._boxes
        count = min(_TRUTHS, len(boxes))
        masks = np.zeros((count, height, width), np.uint8)
        number = torch.arange(len(boxes), device=self._device) % count
        for index in range(count):
            left, top, right, bottom = boxes[index].int().tolist()
            masks[index, top : (top + 3 * bottom) // 4 + 1, left : (left + 3 * right) // 4 + 1] = 1
        truths = InstanceData(
            bboxes=boxes[:count],
            labels=self._labels[:count],
            masks=BitmapMasks(masks, height, width),
        )
        assigned = AssignResult(count, number + 1, None, self._labels)
        every = torch.arange(len(boxes), device=self._device)
        flags = torch.zeros(len(boxes), dtype=torch.uint8, device=self._device)
        result = SamplingResult(every, every[:0], boxes, boxes[:count], assigned, flags)
        result.pos_gt_labels = self._labels[number]
        return result, truths


def random_boxes(count: int, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Draw boxes (R, 4), mostly small ones, in a picture of a shape."""
    size = torch.tensor([shape[1], shape[0]])
    corner = torch.rand(count, 2, generator=generator) * 0.8 * size
    sides = 20 + torch.rand(count, 2, generator=generator) ** 2 * 0.5 * size
    return torch.cat([corner, (corner + sides).minimum(size)], dim=1)
