"""The demonstration of semantic segmentation: SemanticFPN with and without PointRend."""

from pathlib import Path

from mmseg_pointrend.lab.demo.subject import BASELINE, POINTREND, Row, Subject
from mmseg_pointrend.lab.scenes import write_calm_scenes


def data_options(data_root: Path) -> dict:
    """Say where the scenes are."""
    return {
        f"{split}_dataloader.dataset.data_root": str(data_root)
        for split in ("train", "val", "test")
    }


SEMANTIC = Subject(
    configs={
        BASELINE: "sem_fpn/fpn_r18-small_1xb4-1k_calm-scenes-128x256.py",
        POINTREND: "pointrend/pointrend_r18-small_1xb4-1k_calm-scenes-128x256.py",
    },
    rows=dict(
        baseline=Row("SemanticFPN", BASELINE),
        coarse=Row("PointRend, coarse map", POINTREND, "coarse/"),
        pointrend=Row("PointRend, rendered", POINTREND),
    ),
    metrics={
        "mIoU": "{}mIoU",
        "mIoU_2px": "{}trimap/mIoU_2px",
        "mIoU_4px": "{}trimap/mIoU_4px",
        "mIoU_8px": "{}trimap/mIoU_8px",
    },
    percent=1,
    warm_up=50,
    data_root="data/calm_scenes",
    write_scenes=write_calm_scenes,
    data_options=data_options,
    draws_baseline=False,
)
