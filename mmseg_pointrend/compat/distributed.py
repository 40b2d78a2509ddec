"""Several processes on a machine without a GPU.

Upstream: mmengine 0.10.7. Its launcher selects a CUDA device in every process, and its runner wraps
the model for one, whatever backend the config names; without CUDA both fail. Two processes on a CPU
are how distributed code is tried out and tested.

It can go when mmengine starts processes with the gloo backend where there is no accelerator.
"""

import torch
from mmengine.config import Config
from mmengine.dist import is_distributed


def prepare_cpu_processes(config: Config) -> None:
    """Join the processes that torchrun started by gloo, and let the runner wrap a CPU model.

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
    if config.launcher == "pytorch" and not is_distributed():
        torch.distributed.init_process_group("gloo")
