"""Detectors with masks in jobs of two ranks: trained, tested and predicting."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from mmseg_pointrend.apis.configs import prepare_config
from tests.instance.tiny_coco import write_config
from tests.tools.commands import ROOT, Completed, run_side_by_side

pytestmark = pytest.mark.slow

COUNT = 5
#: Of the masks as they are and of the coarse ones.
METRIC = ("--cfg-options", 'test_evaluator.0.type="InstanceMaskMetric"')


class Jobs(NamedTuple):
    """Jobs of two ranks that ran side by side, and what they were given."""

    folder: Path
    config: Path
    checkpoint: Path
    trained: Completed
    tested: Completed
    predicted: Completed


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    from mmdet.registry import MODELS

    folder = tmp_path_factory.mktemp("jobs")
    config, checkpoint = write_config(folder, pictures=COUNT), folder / "random.pth"
    torch.manual_seed(0)
    torch.save(MODELS.build(prepare_config(config).model).state_dict(), checkpoint)
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    options = ("--out", folder / "out", *METRIC)
    given = (config, checkpoint, folder / "data/images")
    done = run_side_by_side(
        (ROOT / "tools/dist_train.sh", config, 2, "--work-dir", folder / "trained"),
        (
            ROOT / "tools/dist_test.sh",
            config,
            checkpoint,
            2,
            "--work-dir",
            folder / "tested",
            *options,
        ),
        (*torchrun, ROOT / "tools/predict.py", *given, "--out", folder / "predicted"),
        cwd=folder,
    )
    return Jobs(folder, config, checkpoint, *done)


def test_training(jobs: Jobs) -> None:
    """Each rank takes its pictures, two of them without an object between them; one writes."""
    written = jobs.trained.stdout + jobs.trained.stderr
    assert "GPU number: 2" in written and "loss_point" in written
    weights = torch.load(jobs.folder / "trained/epoch_2.pth", weights_only=True)
    # Two epochs: five pictures are three for each rank, two at a time.
    assert weights["meta"]["iter"] == 4
    assert all(value.isfinite().all() for value in weights["state_dict"].values())


def scores(work_dir: Path) -> dict[str, float]:
    (result,) = work_dir.glob("*/*.json")
    found = json.loads(result.read_text())
    return {name: value for name, value in found.items() if "time" not in name}


def test_two_ranks_measure_what_one_process_does(jobs: Jobs, call_tool, tmp_path: Path) -> None:
    """Also with an odd number of pictures; coarse masks included."""
    alone, options = tmp_path / "alone", ("--out", tmp_path / "out", *METRIC)
    call_tool("test.py", jobs.config, jobs.checkpoint, "--work-dir", alone, *options)
    assert {"coco/segm_mAP", "coco/coarse/segm_mAP"} <= scores(alone).keys()
    assert scores(jobs.folder / "tested") == scores(alone)
    # Random weights score nothing, but find something in every picture.
    found = sorted_instances(tmp_path / "out")
    assert {one["image_id"] for one in found} == {1, 2, 3, 4, 5}
    assert sorted_instances(jobs.folder / "out") == found


def sorted_instances(out: Path) -> list[dict]:
    found = json.loads((out / "predictions.segm.json").read_text())
    return sorted(found, key=lambda one: (one["image_id"], json.dumps(one)))


def predictions(out: Path) -> dict[str, object]:
    return {path.name: json.loads(path.read_text()) for path in out.glob("instances/*.json")}


def test_processes_share_the_pictures(jobs: Jobs, call_tool, tmp_path: Path) -> None:
    assert "; share 0/2" in jobs.predicted.stdout and "; share 1/2" in jobs.predicted.stdout
    given = (jobs.config, jobs.checkpoint, jobs.folder / "data/images")
    call_tool("predict.py", *given, "--out", tmp_path / "alone")
    alone = predictions(tmp_path / "alone")
    assert len(alone) == COUNT and predictions(jobs.folder / "predicted") == alone
