"""Jobs of two ranks on a CPU, as tools/dist_train.sh and dist_test.sh start them."""

import re
from pathlib import Path

import pytest

from tests.tools.commands import ROOT, run, run_side_by_side
from tests.tools.folders import SHALLOW, small_options, write_cityscapes

CONFIG = ROOT / "configs/pointrend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"
TRAIN, TEST = ROOT / "tools/dist_train.sh", ROOT / "tools/dist_test.sh"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing says where the ranks meet."""
    for name in ("PORT", "NNODES", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_two_jobs_side_by_side(tmp_path: Path, call_tool) -> None:
    """Gloo, and no SyncBN: two trainings at once, then a test that gives what one process gives."""
    data, works = write_cityscapes(tmp_path / "data"), [tmp_path / "a", tmp_path / "b"]
    options = (*small_options(data), *SHALLOW)
    commands = [(TRAIN, CONFIG, 2, "--work-dir", work, *options) for work in works]
    for trained in run_side_by_side(*commands, cwd=tmp_path):
        printed = trained.stdout + trained.stderr
        assert "Distributed launcher: pytorch" in printed and "GPU number: 2" in printed
    assert all((work / "iter_2.pth").is_file() for work in works)

    given = (CONFIG, works[0] / "iter_2.pth")
    run(TEST, *given, 2, "--work-dir", works[0], *options, cwd=tmp_path)
    printed = call_tool("test.py", *given, "--work-dir", works[0], *options)
    scores = [
        re.findall(r'"mIoU": ([\d.]+)', path.read_text())
        for path in sorted(works[0].glob("*/*.json"))
        if "mIoU" in path.read_text() and "loss" not in path.read_text()
    ]
    assert len(scores) == 2 and scores[0] == scores[1], printed
