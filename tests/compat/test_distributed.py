"""Tasks of Slurm jobs, on a machine without Slurm and without a GPU."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmseg_pointrend.compat.distributed import (
    give_slurm_job_a_port,
    prepare_cpu_processes,
    slurm_port,
)
from tests.forks import finish, start


@given(job=st.integers(1, 2**31), step=st.integers(0, 130), later=st.integers(1, 90))
def test_jobs_and_steps_that_may_meet_have_ports_of_their_own(
    job: int, step: int, later: int
) -> None:
    def port(job: int, step: int) -> int:
        return slurm_port({"SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(step)})

    assert 20000 <= port(job, step) < 32768
    assert port(job, step) == port(job, step)
    others = {port(job, step + 1), port(job + later, step), port(job + later, 0)}
    assert port(job, step) not in others


def test_a_port_that_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_PORT", "SLURM_JOB_ID", "SLURM_STEP_ID"):
        monkeypatch.setenv(name, "1")
        monkeypatch.delenv(name)
    give_slurm_job_a_port()
    assert "MASTER_PORT" not in os.environ  # no Slurm: mmengine says what is missing
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    give_slurm_job_a_port()
    assert os.environ["MASTER_PORT"] == str(slurm_port({"SLURM_JOB_ID": "7"}))
    monkeypatch.setenv("MASTER_PORT", "29500")
    give_slurm_job_a_port()
    assert os.environ["MASTER_PORT"] == "29500"


def add_up(environment: dict[str, str], job: int) -> None:
    for name in ("MASTER_PORT", "MASTER_ADDR", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
        os.environ.pop(name, None)
    os.environ.update(environment)
    give_slurm_job_a_port()
    prepare_cpu_processes(Config(dict(launcher="slurm")))
    number = torch.tensor(job)
    torch.distributed.all_reduce(number)
    print("sum", int(number))
    torch.distributed.barrier()


def test_two_jobs_of_one_machine_do_not_meet(tmp_path: Path) -> None:
    """Real processes; `scontrol` is a stand-in that knows this machine."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text("#!/usr/bin/env bash\necho localhost\n")
    scontrol.chmod(0o755)
    logs = {(job, task): tmp_path / f"{job}-{task}.log" for job in (41, 42) for task in (0, 1)}
    tasks = []
    for (job, task), log in logs.items():
        environment = dict(
            SLURM_JOB_ID=str(job), SLURM_STEP_ID="0", SLURM_PROCID=str(task), SLURM_NTASKS="2",
            SLURM_LOCALID=str(task), SLURM_NODELIST="here",
            PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        )  # fmt: skip
        tasks.append(start(log, add_up, environment, job))
    assert [finish(task) for task in tasks] == [0] * 4, [log.read_text() for log in logs.values()]
    for (job, _), log in logs.items():
        assert f"sum {2 * job}\n" in log.read_text()
