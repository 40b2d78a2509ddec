"""Objects that two models have found, and the masks that they have given them."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from mmdet.datasets import CocoDataset
from mmdet.evaluation import bbox_overlaps
from mmengine.structures import InstanceData
from pycocotools import mask as mask_tools

from mmseg_pointrend.instance.evaluation.truths import encode_segmentation

#: A prediction of its class has found an object if box and mask have these IoUs with its own.
SAME_BOX, SAME_MASK = 0.75, 0.5
#: Side of the window that is enlarged, as a share of the picture's height.
WINDOW = 1 / 3


class ComparedObject(NamedTuple):
    """An object, and the masks that are compared.

    Attributes:
        image: (H, W, 3), uint8, red first.
        label: the object's class.
        masks: title -> (H, W) bool: the truth first, then without PointRend, PointRend's last.
    """

    image: np.ndarray
    label: int
    masks: dict[str, np.ndarray]

    @property
    def difference(self) -> np.ndarray:
        """(H, W) bool: where PointRend's mask is not the one that is compared with it."""
        _, compared, *_, last = self.masks.values()
        return compared != last

    def iou(self, title: str) -> float:
        """IoU of a mask with the truth."""
        return _iou(self.masks["truth"], self.masks[title])

    def window(self) -> tuple[int, int, int]:
        """Find the square with the most pixels that differ: top, left, side."""
        height, width = self.difference.shape
        side = min(max(1, round(WINDOW * height)), width)
        share = torch.from_numpy(self.difference)[None].float()
        density = torch.nn.functional.avg_pool2d(share, side, stride=1)[0]
        top, left = divmod(int(density.argmax()), density.shape[1])
        return top, left, side


def compared_objects(
    dataset: CocoDataset, index: int, rendered: InstanceData, baseline: InstanceData | None
) -> Iterator[ComparedObject]:
    """Yield the objects of a picture that PointRend, and the baseline if there is one, have found.

    Args:
        dataset: with the truth; crowds are left out.
        index: of the picture.
        rendered: PointRend's predictions, in numpy, with `coarse_masks`.
        baseline: predictions of a model without it; by default PointRend's masks are compared with
            its coarse ones.
    """
    info = dataset.get_data_info(index)
    size = (info["height"], info["width"])
    image = cv2.imread(info["img_path"])[..., ::-1]
    for truth in info["instances"]:
        if truth["ignore_flag"]:
            continue
        label, box = truth["bbox_label"], np.array(truth["bbox"], np.float32)
        mask = mask_tools.decode(encode_segmentation(truth["mask"], size)) > 0
        masks = {"truth": mask}
        match = _match(rendered, label, box, mask)
        if match is None:
            continue
        if baseline is not None:
            other = _match(baseline, label, box, mask)
            if other is None:
                continue
            masks["baseline"] = baseline.masks[other]
        masks |= {"coarse": rendered.coarse_masks[match], "rendered": rendered.masks[match]}
        yield ComparedObject(image, label, masks)


def _match(found: InstanceData, label: int, box: np.ndarray, mask: np.ndarray) -> int | None:
    """Find the surest of the predictions that have found an object: its number, or None."""
    overlaps = bbox_overlaps(found.bboxes, box[None])[:, 0]
    close = np.flatnonzero((overlaps >= SAME_BOX) & (found.labels == label))
    close = [place for place in close if _iou(mask, found.masks[place]) >= SAME_MASK]
    return max(close, key=lambda place: found.scores[place], default=None)


def _iou(mask: np.ndarray, other: np.ndarray) -> float:
    return float((mask & other).sum() / max(1, (mask | other).sum()))
