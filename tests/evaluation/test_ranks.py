"""Processes that exchange their counts through gloo, against one process with all images."""

import json
from pathlib import Path

import pytest
import torch.distributed
from mmengine.dataset import DefaultSampler
from mmseg.registry import METRICS

import mmseg_pointrend.evaluation  # noqa: F401 - registers the metrics
from tests.evaluation.scenes import CLASSES, samples
from tests.forks import run_ranks

METRIC_TYPES = ("IoUMetric", "TrimapIoUMetric", "BoundaryIoUMetric", "RefinementMetric")
IMAGES = 5


def evaluate(kind: str, items: list[dict]) -> dict:
    metric = METRICS.build(dict(type=kind))
    metric.dataset_meta = dict(classes=CLASSES)
    for item in items:
        metric.process({}, [item])
    return {name: float(value) for name, value in metric.evaluate(size=IMAGES).items()}


def measure_share(folder: Path) -> None:
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    items = samples(IMAGES)
    # In turns, and the first ones once more, so that all have as many.
    share = [items[index] for index in DefaultSampler(items, shuffle=False)]
    assert len(share) == -(-IMAGES // world_size)
    found = {kind: evaluate(kind, share) for kind in METRIC_TYPES}
    (folder / f"rank{rank}.json").write_text(json.dumps(found))


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_report_what_one_reports(tmp_path: Path, ranks: int) -> None:
    expected = {kind: evaluate(kind, samples(IMAGES)) for kind in METRIC_TYPES}
    run_ranks(tmp_path, ranks, measure_share, tmp_path)
    for rank in range(ranks):
        # NaN, of a class that never occurs, is equal to itself as text.
        assert (tmp_path / f"rank{rank}.json").read_text() == json.dumps(expected)
    without_first = evaluate("RefinementMetric", samples(IMAGES)[1:])
    assert without_first != expected["RefinementMetric"]  # so an image too many would be seen
