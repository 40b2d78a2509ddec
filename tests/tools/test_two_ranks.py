"""Jobs of two ranks on a CPU, as tools/dist_train.sh and dist_test.sh start them."""

import os
import re
import time
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


RANK_THAT_DIES = """
import os, signal, time
from pathlib import Path
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Die(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 1 and get_rank() == 1:
            Path("died").write_text(str(time.time()))
            {death}
"""


@pytest.mark.parametrize(
    ("death", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", r"Signal 9 \(SIGKILL\)"),
        ("raise RuntimeError('the ' + 'disk is full')", r"RuntimeError: the disk is full"),
    ],
)
def test_a_rank_that_dies_ends_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: str, told: str
) -> None:
    """Within a minute, and what ended it is told at the end."""
    (tmp_path / "dying.py").write_text(RANK_THAT_DIES.format(death=death))
    config = tmp_path / "config.py"
    config.write_text(
        f"_base_ = {str(CONFIG)!r}\n"
        "custom_imports = dict(imports=['dying'])\n"
        "custom_hooks = [dict(type='Die')]\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    data = write_cityscapes(tmp_path / "data")
    options = ("--work-dir", tmp_path / "work", *small_options(data, 4), *SHALLOW)
    ended = run(TRAIN, config, 2, *options, cwd=tmp_path, fails=True)
    seconds = time.time() - float((tmp_path / "died").read_text())
    written = ended.stdout + ended.stderr
    assert ended.returncode == 1, written
    summary = written[written.index("ChildFailedError: ") :]
    (of_rank_1,) = re.findall(r"rank +: 1 .*?(?:\n\n|---|===|$)", summary, re.DOTALL)
    assert re.search(told, of_rank_1), written
    assert seconds < 60, written
