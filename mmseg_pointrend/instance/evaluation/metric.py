"""The metric of instance masks: AP, Boundary AP and AP*, coarse and rendered, in one test run."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.fileio import get_local_path
from mmengine.logging import print_log
from prettytable import PrettyTable
from pycocotools import mask as mask_tools

from mmseg_pointrend.evaluation.functional import check_distance
from mmseg_pointrend.instance.evaluation.average_precision import (
    ITEMS,
    MaskEvaluation,
    average_precisions,
    make_coco,
)
from mmseg_pointrend.instance.evaluation.run_lengths import encode_masks
from mmseg_pointrend.instance.evaluation.truths import (
    read_annotations,
    truth_of_coco,
    truth_of_lvis,
    truth_of_samples,
)

KINDS = ("bbox", "segm", "boundary")
#: Masks of a prediction that are compared -> their field.
PREDICTIONS = {"coarse": "coarse_masks", "refined": "masks"}


@METRICS.register_module()
class InstanceMaskMetric(CocoMetric):
    """AP of boxes and masks, Boundary AP and AP*, of the rendered masks and of the coarse ones.

    Coarse masks are measured where the predictions hold them: set `predict_coarse=True` in the mask
    head. A table is written into the log. Boundary AP is that of Cheng et al., CVPR 2021 (arXiv
    2103.16562); AP* (the paper, section 4 and appendix D) measures predictions of COCO's classes
    against the annotations of LVIS.

    Args:
        ann_file: COCO file with the truth; without it the data set must give `instances`.
        metric: one or more of `bbox`, `segm` and `boundary`.
        lvis_ann_file: LVIS file, v0.5 or v1, for AP*; it is read when the metric is built.
        distance: how far from a contour Boundary AP looks; pixels (int) or a fraction of the
            picture's diagonal (float).
        classwise: also write each class's AP into the log.
        format_only: only write the files of `outfile_prefix`.
        outfile_prefix: write predictions to `<prefix>.bbox.json`, `<prefix>.segm.json` and, if
            there are coarse masks, `<prefix>.coarse.segm.json`.
        backend_args: how files are read.
        collect_device: where distributed ranks exchange their predictions, which are run lengths.
        prefix: put before the names of the results; `coco` by default.

    Results:
        `<kind>_<item>` for the kinds asked for and the items `mAP`, `mAP_50`, `mAP_75`, `mAP_s`,
        `mAP_m` and `mAP_l`; for AP* `lvis_<kind>_<item>`, of masks. From 0 to 1, to 4 decimals; NaN
        where there is no object to be found. With coarse masks also `coarse/<name>` and
        `gain/<name>` of masks. Unlike mmdet's, they count at most 100 predictions of a class in a
        picture in every item, as COCO does, and the areas are those of masks.

    Raises:
        FileNotFoundError: without an annotation file.
        ValueError: for an unknown metric, a distance out of range, or a file that is not what it
            should be.
    """

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] = KINDS,
        lvis_ann_file: str | None = None,
        distance: int | float = 0.02,
        classwise: bool = False,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend_args: dict | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        kinds = [metric] if isinstance(metric, str) else list(metric)
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown or not kinds:
            raise ValueError(f"metric must be some of {', '.join(KINDS)}, got {metric!r}")
        if format_only and outfile_prefix is None:
            raise ValueError("format_only writes files, so it needs outfile_prefix")
        check_distance(distance)
        super().__init__(
            metric=[kind for kind in kinds if kind != "boundary"],
            classwise=classwise,
            format_only=format_only,
            outfile_prefix=outfile_prefix,
            backend_args=backend_args,
            collect_device=collect_device,
            prefix=prefix,
        )
        self.kinds, self.distance = [kind for kind in KINDS if kind in kinds], distance
        if ann_file is not None:
            self._coco_api = truth_of_coco(self._read(ann_file))
        self.lvis = None if lvis_ann_file is None else self._read(lvis_ann_file)

    def _read(self, file: str) -> dict:
        if "://" not in str(file):
            return read_annotations(file)
        with get_local_path(file, backend_args=self.backend_args) as local:
            return read_annotations(local)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep one batch of predictions; masks as run lengths.

        Raises:
            ValueError: for predictions without masks, or without a truth.
        """
        for sample in data_samples:
            predicted = sample["pred_instances"]
            if "masks" not in predicted:
                raise ValueError("InstanceMaskMetric measures masks, and the model predicts none")
            found = {name: _array(predicted[name]) for name in ("bboxes", "scores", "labels")}
            for field in PREDICTIONS.values():
                if field in predicted:
                    found[field] = _run_lengths(predicted[field])
            found["img_id"] = sample["img_id"]
            truth = dict(
                img_id=sample["img_id"], height=sample["ori_shape"][0], width=sample["ori_shape"][1]
            )
            if self._coco_api is None:
                if "instances" not in sample:
                    raise ValueError(
                        "InstanceMaskMetric needs ann_file, or `instances` in the meta_keys of "
                        "PackDetInputs"
                    )
                truth["anns"] = sample["instances"]
            self.results.append((truth, found))

    def compute_metrics(self, results: list[tuple[dict, dict]]) -> dict[str, float]:
        """Measure what all batches and ranks have predicted.

        Raises:
            ValueError: for classes that the annotation file has not, or if some pictures only have
                coarse masks.
        """
        found = [one for _, one in results]
        with_coarse = sum(PREDICTIONS["coarse"] in one for one in found)
        if with_coarse not in (0, len(found)):
            raise ValueError(
                f"{with_coarse} of {len(found)} pictures have {PREDICTIONS['coarse']}; all or none"
            )
        rows = tuple(PREDICTIONS) if with_coarse else ("refined",)
        classes = self.dataset_meta["classes"]
        truth = self._coco_api or truth_of_samples([one for one, _ in results], classes)
        numbers = truth.getCatIds(catNms=list(classes))
        if len(numbers) != len(classes):
            names = {one["name"] for one in truth.dataset["categories"]}
            missing = [name for name in classes if name not in names]
            raise ValueError(f"the annotation file has no class {', '.join(map(repr, missing))}")
        self.cat_ids = numbers
        if self.outfile_prefix is not None:
            self._write(found, rows)
            if self.format_only:
                return {}
        measured = {row: self._measure(found, PREDICTIONS[row], truth, numbers) for row in rows}
        if self.lvis is not None:
            images = {one["img_id"] for one in found}
            truth = truth_of_lvis(self.lvis, classes, images)
            for row in rows:
                field = PREDICTIONS[row]
                measured[row] |= self._measure(
                    found, field, truth, list(range(len(classes))), lvis=True
                )
        return self._report(measured)

    def _measure(
        self, found: list[dict], field: str, truth: COCO, numbers: list[int], lvis: bool = False
    ) -> dict[str, np.ndarray]:
        """Evaluate one kind of masks: kind -> precisions (T, R, K, A)."""
        measured = {}
        for kind in self.kinds:
            if kind == "bbox" and (lvis or field != PREDICTIONS["refined"]):
                continue
            annotations = _annotations(found, field, numbers, boxes=kind == "bbox")
            known = truth.imgs
            annotations = [one for one in annotations if one["image_id"] in known]
            evaluation = MaskEvaluation(
                truth,
                make_coco(truth.dataset["images"], truth.dataset["categories"], annotations),
                kind,
                self.distance,
                federated=lvis,
                max_found=300 if lvis else 100,
            )
            evaluation.params.catIds = numbers
            measured[f"lvis_{kind}" if lvis else kind] = evaluation.run()
            self.thresholds = evaluation.params.iouThrs
        return measured

    def _report(self, measured: dict[str, dict[str, np.ndarray]]) -> dict[str, float]:
        """Log the tables and name the numbers."""
        numbers = {
            row: {
                f"{kind}_{item}": round(value, 4)
                for kind, precisions in kinds.items()
                for item, value in average_precisions(precisions, self.thresholds).items()
            }
            for row, kinds in measured.items()
        }
        refined = numbers["refined"]
        results = dict(refined)
        for name, value in numbers.get("coarse", {}).items():
            results[f"coarse/{name}"] = value
        for name, value in numbers.get("coarse", {}).items():
            results[f"gain/{name}"] = round(refined[name] - value, 4)
        print_log(f"instance masks:\n{_table(results, measured)}", logger="current")
        if self.classwise:
            table = _class_table(self.dataset_meta["classes"], measured["refined"])
            print_log(f"AP of the classes:\n{table}", logger="current")
        return results

    def _write(self, found: list[dict], rows: Sequence[str]) -> None:
        """Write the predictions as mmdet's metric does, and the coarse masks beside them."""
        for row in rows:
            infix = ".coarse" if row == "coarse" else ""
            masks = [{**one, "masks": one[PREDICTIONS[row]]} for one in found]
            self.results2json(masks, f"{self.outfile_prefix}{infix}")


def _array(values: torch.Tensor | np.ndarray) -> np.ndarray:
    return values.cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _run_lengths(masks: torch.Tensor | np.ndarray | list[dict]) -> list[dict]:
    if isinstance(masks, np.ndarray):
        masks = torch.from_numpy(masks)
    return encode_masks(masks) if isinstance(masks, torch.Tensor) else list(masks)


def _annotations(found: list[dict], field: str, numbers: Sequence[int], boxes: bool) -> list[dict]:
    """List predictions as pycocotools wants them; their area is that of the mask, or of the box."""
    annotations = []
    for one in found:
        for place, label in enumerate(one["labels"]):
            left, top, right, bottom = (float(side) for side in one["bboxes"][place])
            mask = one[field][place]
            annotation = dict(
                image_id=one["img_id"],
                category_id=numbers[int(label)],
                score=float(one["scores"][place]),
                bbox=[left, top, right - left, bottom - top],
                iscrowd=0,
            )
            if boxes:
                annotation["area"] = (right - left) * (bottom - top)
            else:
                annotation |= dict(segmentation=mask, area=float(mask_tools.area(mask)))
            annotations.append(annotation)
    return annotations


def _table(results: dict[str, float], measured: dict[str, dict[str, np.ndarray]]) -> str:
    """Lay the results out: a row for each kind and prediction, a column for each item."""
    table = _open_table(ITEMS)
    for kind in measured["refined"]:
        for prefix in ("coarse/", "", "gain/"):
            name = f"{prefix}{kind}"
            if f"{name}_mAP" in results:
                cells = [_cell(results[f"{name}_{item}"], prefix == "gain/") for item in ITEMS]
                table.add_row([name, *cells])
    return table.get_string()


def _class_table(classes: Sequence[str], measured: dict[str, np.ndarray]) -> str:
    table = _open_table(measured)
    for number, name in enumerate(classes):
        cells = []
        for precisions in measured.values():
            known = precisions[:, :, number, 0]
            known = known[known > -1]
            cells.append(_cell(float(known.mean()) if known.size else math.nan, False))
        table.add_row([name, *cells])
    return table.get_string()


def _open_table(columns: Iterable[str]) -> PrettyTable:
    table = PrettyTable(["AP (%)", *columns])
    table.align = "r"
    table.align["AP (%)"] = "l"
    return table


def _cell(value: float, signed: bool) -> str:
    return "-" if math.isnan(value) else f"{100 * value:{'+' if signed else ''}.2f}"
