"""What the sweeps of semantic and of instance segmentation do not share: heads and metrics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from mmengine.config import Config

from mmseg_pointrend.apis.evaluators import ignored_label, metric_name

#: What is measured besides a segmentor's own metrics; the widths have Table 8's (8 and 20 px).
LABEL_METRICS = (
    dict(type="TrimapIoUMetric", widths=(1, 2, 4, 8, 12, 20)),
    dict(type="BoundaryIoUMetric"),
)
#: What is measured of a detector.
MASK_METRIC = dict(type="InstanceMaskMetric", metric=["bbox", "segm", "boundary"])
#: Metrics that it takes the place of, and what it takes from their settings.
_COCO_METRICS = ("CocoMetric", "CocoFastMetric", "InstanceMaskMetric")
_COCO_SETTINGS = ("ann_file", "lvis_ann_file", "distance", "classwise", "backend_args", "prefix")


@dataclass(frozen=True)
class SweptTask:
    """What sweeps need to know of a task.

    Attributes:
        title: what it is called.
        head: key of the head that PointRend is in.
        settings: of this head, which a baseline's has no place for.
        switch: key of the setting that asks for the coarse prediction.
        others: keys besides the head's that a baseline has no place for.
        headline: the metric that progress tells.
        unit: what makes per cent of a metric's values.
        measure: the config's evaluators -> those of the runs.
    """

    title: str
    head: str
    settings: tuple[str, ...]
    switch: str
    others: tuple[str, ...]
    headline: str
    unit: float
    measure: Callable[[Sequence[dict]], list[dict]]

    @property
    def pointrend_options(self) -> tuple[str, ...]:
        """Keys that a baseline, with a config of its own, has no place for."""
        return (*(f"{self.head}.{name}" for name in self.settings), *self.others)

    def head_of(self, config: Config) -> dict:
        """Find the head in a config."""
        return reduce(lambda node, part: node[part], self.head.split("."), config)


def _measure_labels(evaluators: Sequence[dict]) -> list[dict]:
    """Add `LABEL_METRICS`, or replace the config's own of the same type."""
    ours = {metric["type"] for metric in LABEL_METRICS}
    kept = [dict(evaluator) for evaluator in evaluators if metric_name(evaluator) not in ours]
    # All metrics leave out the same pixels.
    ignored = ignored_label(list(evaluators))
    void = {} if ignored is None else dict(ignore_index=ignored)
    return kept + [metric | void for metric in LABEL_METRICS]


def _measure_masks(evaluators: Sequence[dict]) -> list[dict]:
    """Put `MASK_METRIC` in the place of COCO's, for the same file."""
    measured = []
    for evaluator in evaluators:
        if metric_name(evaluator) in _COCO_METRICS:
            kept = {key: evaluator[key] for key in _COCO_SETTINGS if key in evaluator}
            measured.append(MASK_METRIC | kept)
        else:
            measured.append(dict(evaluator))
    return measured


SEMANTIC = SweptTask(
    title="semantic segmentation",
    head="model.decode_head",
    settings=(
        "coarse_head",
        "point_head",
        "training_points",
        "subdivision",
        "uncertainty",
        "coarse_at_fine",
        "picture",
        "label_rendering",
        "loss_point",
    ),
    switch="model.predict_coarse",
    others=(
        "model.predict_logits",
        "model.predict_coarse",
        "model.output_scale",
        "model.freeze_base",
    ),
    headline="mIoU",
    unit=1,
    measure=_measure_labels,
)
INSTANCE = SweptTask(
    title="instance segmentation",
    head="model.roi_head.mask_head",
    settings=(
        "coarse_head",
        "point_head",
        "training_points",
        "subdivision",
        "uncertainty",
        "loss_point",
        "no_finer_than_picture",
        "predict_coarse",
    ),
    switch="model.roi_head.mask_head.predict_coarse",
    others=(),
    headline="coco/segm_mAP",
    unit=100,
    measure=_measure_masks,
)
#: Metrics that progress tells.
HEADLINES = (SEMANTIC.headline, INSTANCE.headline)


def swept_task(config: Config) -> SweptTask:
    """Tell which of the two a config's sweeps are about."""
    return INSTANCE if config.get("default_scope") == "mmdet" else SEMANTIC
