"""Several processes on a machine without a GPU, and several Slurm jobs on one machine.

Upstream: mmengine 0.10.7. Its launcher selects a CUDA device in every process, and its runner wraps
the model for one, whatever backend the config names; without CUDA both fail. Two processes on a CPU
are how distributed code is tried out and tested. Under Slurm its processes meet at port 29500
unless MASTER_PORT is set, and a second job on the same machine fails.

It can go when mmengine starts processes with the gloo backend where there is no accelerator, and
chooses a port for each Slurm job.
"""

import os
import subprocess
from collections.abc import Mapping

import torch
from mmengine.config import Config
from mmengine.dist import is_distributed


def prepare_cpu_processes(config: Config) -> None:
    """Join the processes of torchrun or Slurm by gloo, and let the runner wrap a CPU model.

    mmengine's runner then finds the process group in place and does not make its own.

    Args:
        config: changed in place: `model_wrapper_cfg`, and gloo instead of NCCL in `env_cfg`.
    """
    dist_config = config.get("env_cfg", {}).get("dist_cfg")
    if dist_config and dist_config.get("backend") == "nccl":
        dist_config.backend = "gloo"
    config.setdefault("model_wrapper_cfg", dict(type="MMDistributedDataParallel"))
    config.model_wrapper_cfg.setdefault("device_ids", None)
    # What mmengine passes where the config says nothing.
    config.model_wrapper_cfg.setdefault("broadcast_buffers", False)
    config.model_wrapper_cfg.setdefault(
        "find_unused_parameters", config.get("find_unused_parameters", False)
    )
    if is_distributed():
        return
    if config.launcher == "slurm":
        _name_slurm_ranks()
    if config.launcher in ("pytorch", "slurm"):
        torch.distributed.init_process_group("gloo")


def give_slurm_job_a_port() -> None:
    """Let the tasks of a Slurm job meet where no other job of this machine does.

    Sets MASTER_PORT, unless it is set.
    """
    if "SLURM_JOB_ID" in os.environ:
        os.environ.setdefault("MASTER_PORT", str(slurm_port(os.environ)))


def slurm_port(environment: Mapping[str, str]) -> int:
    """Choose a port that all tasks of a Slurm job step agree on and other steps hardly have.

    Args:
        environment: of a task, with SLURM_JOB_ID, and SLURM_STEP_ID within `srun`.

    Returns:
        20000 to 32767, below the ports that Linux hands out by itself.

    Examples:
        >>> slurm_port({"SLURM_JOB_ID": "1000", "SLURM_STEP_ID": "0"})
        23320
    """
    job, step = (int(environment.get(f"SLURM_{part}_ID", 0)) for part in ("JOB", "STEP"))
    # 131 shares no factor with 12768: of so many jobs in a row no two have the same port.
    return 20000 + (131 * job + step) % 12768


def _name_slurm_ranks() -> None:
    """Tell torch in its own words what Slurm says of this task."""
    names = dict(RANK="SLURM_PROCID", WORLD_SIZE="SLURM_NTASKS", LOCAL_RANK="SLURM_LOCALID")
    for name, slurm_name in names.items():
        os.environ[name] = os.environ[slurm_name]
    if "MASTER_ADDR" not in os.environ:
        command = ["scontrol", "show", "hostnames", os.environ["SLURM_NODELIST"]]
        hosts = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        os.environ["MASTER_ADDR"] = hosts.split()[0]
