"""Folders of runs are read back."""

import json
from pathlib import Path

from mmseg_pointrend.lab.ablation.run_folder import Run


def test_results_of_before_are_read_by_the_names_of_today(tmp_path: Path) -> None:
    run = Run("training", 0, tmp_path, "", tests=({},))
    assert run.result({}) is None
    folder = run.test_folder({})
    folder.mkdir(parents=True)
    old = {"mIoU": 1.0, "trimap/mIoU@2px": 2.0, "boundary/mIoU@0.02": 3.0, "gain/mIoU": 4.0}
    (folder / "result.json").write_text(json.dumps({"metrics": old}))
    now = {"mIoU": 1.0, "trimap/mIoU_2px": 2.0, "boundary/mIoU_0.02": 3.0, "gain/mIoU": 4.0}
    assert run.result({}) == now
    (folder / "result.json").write_text(json.dumps({"metrics": now}))
    assert run.result({}) == now
