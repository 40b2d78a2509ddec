"""Jobs of two ranks on a CPU, as tools/dist_train.sh and dist_test.sh start them."""

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmseg.registry import MODELS

from mmseg_pointrend.apis.configs import prepare_config
from tests.engine.kills import write_config
from tests.tools.commands import ROOT, Completed, run_side_by_side

pytestmark = pytest.mark.slow

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
            Path("killed").write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)
"""

#: The other rank hangs, and heeds no SIGTERM: so does one that waits for its peer in native code.
RANK_THAT_HANGS = """
import os, signal, time
from pathlib import Path
from mmseg_pointrend.apis.console import command_line_tool


@command_line_tool
def main():
    if os.environ["RANK"] == "1":
        while not Path("hangs").exists():
            time.sleep(0.05)
        Path("failed").write_text(str(time.time()))
        raise RuntimeError("the " + "disk is full")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path("hangs").touch()
    time.sleep(600)


main()
"""


class Jobs(NamedTuple):
    """Jobs that ran side by side: a test, a training of which a rank is killed, one that hangs."""

    folder: Path
    config: Path
    checkpoint: Path
    killed: Completed
    hanging: Completed


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    folder = tmp_path_factory.mktemp("jobs")
    config, checkpoint = write_config(folder, 6, val=5), folder / "random.pth"
    torch.save(MODELS.build(prepare_config(config).model).state_dict(), checkpoint)
    (folder / "dying.py").write_text(RANK_THAT_DIES)
    (folder / "hanging.py").write_text(RANK_THAT_HANGS)
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    dying = folder / "dies.py"
    dying.write_text(
        f"_base_ = {str(config)!r}\n"
        "custom_imports = dict(imports=['dying'])\n"
        "custom_hooks = [dict(type='Die')]\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        # Nothing says where the ranks meet.
        for name in ("PORT", "NNODES", "MASTER_ADDR", "MASTER_PORT"):
            patch.delenv(name, raising=False)
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        killed, tested, hanging = run_side_by_side(
            (ROOT / "tools/dist_train.sh", dying, 2, "--work-dir", folder / "trained"),
            (ROOT / "tools/dist_test.sh", config, checkpoint, 2, "--work-dir", folder / "tested"),
            (*torchrun, "--local-addr=127.0.0.1", "--nproc_per_node=2", folder / "hanging.py"),
            cwd=folder,
            fails=True,
        )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    return Jobs(folder, config, checkpoint, killed, hanging)


def scores(work_dir: Path) -> list[str]:
    (result,) = work_dir.glob("*/*.json")
    return re.findall(r'"(?:mIoU|coarse/trimap/mIoU_2px)": ([\d.]+)', result.read_text())


def test_two_ranks_measure_what_one_process_does(jobs: Jobs, call_tool, tmp_path: Path) -> None:
    """Also with an odd number of pictures."""
    alone = tmp_path / "alone"
    call_tool("test.py", jobs.config, jobs.checkpoint, "--work-dir", alone)
    assert len(scores(alone)) == 2
    assert scores(jobs.folder / "tested") == scores(alone)


def check_end(job: Completed, since: Path, told: str) -> None:
    """The death of rank 1 has ended a job within a minute, and is told at its end."""
    seconds = job.ended - float(since.read_text())
    written = job.stdout + job.stderr
    assert job.returncode == 1, written
    summary = written[written.index("ChildFailedError: ") :]
    (of_rank_1,) = re.findall(r"rank +: 1 .*?(?:\n\n|---|===|$)", summary, re.DOTALL)
    assert re.search(told, of_rank_1), written
    assert seconds < 60, written


def test_a_rank_that_is_killed_ends_the_job(jobs: Jobs) -> None:
    written = jobs.killed.stdout + jobs.killed.stderr
    assert "Distributed launcher: pytorch" in written and "GPU number: 2" in written
    check_end(jobs.killed, jobs.folder / "killed", r"Signal 9 \(SIGKILL\)")


def test_a_rank_that_fails_ends_the_job_though_the_other_hangs(jobs: Jobs) -> None:
    check_end(jobs.hanging, jobs.folder / "failed", "RuntimeError: the disk is full")
