"""Jobs of two ranks on a CPU, as tools/dist_train.sh and dist_test.sh start them."""

import re
from pathlib import Path

import pytest

from tests.tools.commands import ROOT, run_side_by_side
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
    """Gloo, and no SyncBN: a training beside a test, which gives what one process gives."""
    data, work = write_cityscapes(tmp_path / "data"), tmp_path / "tested"
    options = (*small_options(data), *SHALLOW)
    call_tool("train.py", CONFIG, "--work-dir", work, *options)
    given = (CONFIG, work / "iter_2.pth")
    trained, _ = run_side_by_side(
        (TRAIN, CONFIG, 2, "--work-dir", tmp_path / "trained", *options),
        (TEST, *given, 2, "--work-dir", work, *options),
        cwd=tmp_path,
    )
    printed = trained.stdout + trained.stderr
    assert "Distributed launcher: pytorch" in printed and "GPU number: 2" in printed
    assert (tmp_path / "trained/iter_2.pth").is_file()
    printed = call_tool("test.py", *given, "--work-dir", work, *options)
    scores = [
        re.findall(r'"mIoU": ([\d.]+)', path.read_text())
        for path in sorted(work.glob("*/*.json"))
        if "mIoU" in path.read_text() and "loss" not in path.read_text()
    ]
    assert len(scores) == 2 and scores[0] == scores[1], printed
