"""Two processes that exchange their counts through gloo, against one process with all images."""

import datetime
import json
import os
import sys
import traceback
from pathlib import Path

import pytest
import torch.distributed
import torch.multiprocessing
from mmengine.dataset import DefaultSampler
from mmseg.registry import METRICS

import mmseg_pointrend.evaluation  # noqa: F401 - registers the metrics
from tests.evaluation.scenes import CLASSES, samples

METRIC_TYPES = ("TrimapIoUMetric", "BoundaryIoUMetric", "RefinementMetric")
IMAGES = 5


def evaluate(kind: str, items: list[dict]) -> dict:
    metric = METRICS.build(dict(type=kind))
    metric.dataset_meta = dict(classes=CLASSES)
    for item in items:
        metric.process({}, [item])
    return metric.evaluate(size=IMAGES)


def run_rank(rank: int, folder: str) -> None:
    try:
        measure(rank, folder)
    except BaseException:
        # Of several ranks that fail, `spawn` shows one, which may be the one that lost its peer.
        print(f"rank {rank}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        raise


def measure(rank: int, folder: str) -> None:
    os.chdir(folder)
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(minutes=5),
    )
    items = samples(IMAGES)
    # In turns, and the first once more, so that both have as many.
    share = [items[index] for index in DefaultSampler(items, shuffle=False)]
    assert len(share) == IMAGES // 2 + 1
    found = {kind: evaluate(kind, share) for kind in METRIC_TYPES}
    Path(f"rank{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_report_what_one_reports(tmp_path: Path) -> None:
    expected = {kind: evaluate(kind, samples(IMAGES)) for kind in METRIC_TYPES}
    torch.multiprocessing.spawn(run_rank, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        assert json.loads((tmp_path / f"rank{rank}.json").read_text()) == expected
    without_first = evaluate("RefinementMetric", samples(IMAGES)[1:])
    assert without_first != expected["RefinementMetric"]  # so an image too many would be seen
