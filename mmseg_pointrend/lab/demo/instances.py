"""The demonstration of instance masks: Mask R-CNN with and without PointRend."""

from pathlib import Path

from mmseg_pointrend.lab.demo.subject import BASELINE, POINTREND, Row, Subject
from mmseg_pointrend.lab.scenes import write_instance_scenes


def data_options(data_root: Path) -> dict:
    """Say where the scenes and their annotations are."""
    annotations = str(data_root / "annotations" / "instances_val.json")
    return {
        **{f"{split}_dataloader.dataset.data_root": str(data_root)
           for split in ("train", "val", "test")},
        **{f"{split}_evaluator.ann_file": annotations for split in ("val", "test")},
    }  # fmt: skip


INSTANCES = Subject(
    configs={
        BASELINE: "mask_rcnn/mask-rcnn_r18-small_1xb2-1k_demo-scenes-192x384.py",
        POINTREND: "mask_rcnn/pointrend-mask-rcnn_r18-small_1xb2-1k_demo-scenes-192x384.py",
    },
    rows=dict(
        baseline=Row("Mask R-CNN", BASELINE),
        coarse=Row("PointRend, 28x28 masks", POINTREND, "coarse/"),
        pointrend=Row("PointRend, rendered", POINTREND),
    ),
    metrics={
        "AP": "coco/{}segm_mAP",
        "AP75": "coco/{}segm_mAP_75",
        "boundary_AP": "coco/{}boundary_mAP",
    },
    percent=100,
    warm_up=100,
    data_root="data/demo_scenes_instance",
    write_scenes=write_instance_scenes,
    data_options=data_options,
    draws_baseline=True,
)
