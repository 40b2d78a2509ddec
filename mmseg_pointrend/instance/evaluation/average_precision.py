"""AP, Boundary AP and AP*: pycocotools' matching with other overlaps, and with LVIS's lists."""

import contextlib
import io
from collections.abc import Iterable, Sequence

import numpy as np
from mmdet.datasets.api_wrappers import COCO
from pycocotools.cocoeval import COCOeval

from mmseg_pointrend.evaluation.functional import resolve_distance
from mmseg_pointrend.instance.evaluation.run_lengths import (
    CroppedMask,
    cropped_boundary,
    cropped_iou,
    cropped_mask,
)

#: What is read off an evaluation: name -> IoU threshold (None: their mean), number of the areas'
#: range in pycocotools (all, small, medium, large).
ITEMS = {
    "mAP": (None, 0),
    "mAP_50": (0.5, 0),
    "mAP_75": (0.75, 0),
    "mAP_s": (None, 1),
    "mAP_m": (None, 2),
    "mAP_l": (None, 3),
}


class MaskEvaluation(COCOeval):
    """Pycocotools' evaluation of masks or boxes, with Boundary IoU and LVIS's lists on request.

    Boundary IoU is that of Cheng et al., CVPR 2021 (arXiv 2103.16562): the smaller one of the IoU
    of two masks and that of their pixels near their own contours. As in the authors' code, a crowd
    takes what lies in it by the masks alone. Boundaries are looked at where they matter, that is,
    where the IoU of the masks reaches the lowest threshold.

    Args:
        truth: annotations. `not_exhaustive_category_ids` and `neg_category_ids` of its images count
            if `federated`.
        found: predictions, as `make_coco` makes them.
        iou_type: `bbox`, `segm` or `boundary`.
        distance: of the boundary, pixels (int) or a fraction of the picture's diagonal (float).
        federated: as in LVIS (Gupta et al., CVPR 2019), a class is measured in the pictures where
            it is annotated or known to be absent. Where not all of its objects are annotated,
            predictions that match none are not counted.
        max_found: best predictions of a class in a picture that count; of all classes in a
            picture if `federated`. 100 in COCO, 300 in LVIS.
    """

    def __init__(
        self,
        truth: COCO,
        found: COCO,
        iou_type: str,
        distance: int | float = 0.02,
        federated: bool = False,
        max_found: int = 100,
    ) -> None:
        super().__init__(truth, found, "segm" if iou_type == "boundary" else iou_type)
        self.boundary, self.distance, self.federated = iou_type == "boundary", distance, federated
        self.params.maxDets = [max_found]

    def _prepare(self) -> None:
        super()._prepare()
        if not self.federated:
            return
        images = {one["id"]: one for one in self.cocoGt.loadImgs(self.params.imgIds)}
        annotated = {key for key, truths in self._gts.items() if truths}
        for (image, category), detections in self._dts.items():
            absent = category in images[image].get("neg_category_ids", ())
            if (image, category) not in annotated and not absent:
                detections.clear()
        self._keep_best(images)
        self.unfinished = {
            (image, category)
            for image, one in images.items()
            for category in one.get("not_exhaustive_category_ids", ())
        }

    def _keep_best(self, images: Iterable[int]) -> None:
        """Keep the best predictions of each picture, of whatever class."""
        per_image: dict[int, list[dict]] = {image: [] for image in images}
        for one in self.cocoDt.dataset["annotations"]:
            if one["image_id"] in per_image:
                per_image[one["image_id"]].append(one)
        for image, detections in per_image.items():
            if len(detections) <= self.params.maxDets[-1]:
                continue
            order = np.argsort([-one["score"] for one in detections], kind="mergesort")
            best = {detections[place]["id"] for place in order[: self.params.maxDets[-1]]}
            for category in self.params.catIds:
                kept = [one for one in self._dts[image, category] if one["id"] in best]
                self._dts[image, category] = kept

    def computeIoU(self, imgId: int, catId: int) -> np.ndarray | list:
        """Overlap of predictions, best first, and truths of a class in a picture, (D, G)."""
        ious = super().computeIoU(imgId, catId)
        truths = self._gts[imgId, catId]
        if not self.boundary or not len(ious) or not len(truths):
            return ious
        detections = self._dts[imgId, catId]
        order = np.argsort([-one["score"] for one in detections], kind="mergesort")
        size = self.cocoGt.imgs[imgId]
        distance = resolve_distance(self.distance, (size["height"], size["width"]))
        counted = np.array([not one["iscrowd"] for one in truths])
        boundaries: dict[tuple[str, int], CroppedMask] = {}

        def boundary(kind: str, annotation: dict) -> CroppedMask:
            key = (kind, annotation["id"])
            if key not in boundaries:
                mask = cropped_mask(annotation["segmentation"])
                boundaries[key] = cropped_boundary(mask, distance)
            return boundaries[key]

        for row, column in np.argwhere((ious >= min(self.params.iouThrs)) & counted):
            ours = boundary("found", detections[order[row]])
            theirs = boundary("truth", truths[column])
            ious[row, column] = min(ious[row, column], cropped_iou(ours, theirs))
        return ious

    def evaluateImg(
        self,
        imgId: int,
        catId: int,
        aRng: Sequence[float],
        maxDet: int,
    ) -> dict | None:
        """Match predictions and truths of a class in a picture."""
        matched = super().evaluateImg(imgId, catId, aRng, maxDet)
        if self.federated and matched is not None and (imgId, catId) in self.unfinished:
            matched["dtIgnore"] = matched["dtIgnore"] | (matched["dtMatches"] == 0)
        return matched

    def run(self) -> np.ndarray:
        """Return the precisions, (T, R, K, A): thresholds, recalls, classes, ranges of areas.

        -1 for a class without truths.
        """
        # pycocotools reports to the screen.
        with contextlib.redirect_stdout(io.StringIO()):
            self.evaluate()
            self.accumulate()
        return self.eval["precision"][..., -1]


def average_precisions(precisions: np.ndarray, thresholds: np.ndarray) -> dict[str, float]:
    """Read the `ITEMS` off precisions (T, R, K, A); NaN where there is no object to be found."""
    found = {}
    for name, (threshold, area) in ITEMS.items():
        chosen = precisions[..., area]
        if threshold is not None:
            chosen = chosen[np.isclose(thresholds, threshold)]
        known = chosen[chosen > -1]
        found[name] = float(known.mean()) if known.size else float("nan")
    return found


def make_coco(images: list[dict], categories: list[dict], annotations: list[dict]) -> COCO:
    """Make pycocotools' object of annotations or predictions, without a file.

    Annotations are numbered anew, from 1: to pycocotools a match with number 0 is none.
    """
    coco = COCO()
    numbered = [{**one, "id": number} for number, one in enumerate(annotations, 1)]
    coco.dataset = dict(images=images, categories=categories, annotations=numbered)
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    # mmdet's other names for the same.
    coco.img_ann_map, coco.cat_img_map = coco.imgToAnns, coco.catToImgs
    return coco
