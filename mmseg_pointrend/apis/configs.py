"""Loading a config, fitting it to the machine, and finding its mistakes before work starts."""

import os
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

import mmseg_pointrend.models  # noqa: F401 - fills the registry
from mmseg_pointrend import compat
from mmseg_pointrend.apis.shipped import find_config, shipped_config
from mmseg_pointrend.apis.tasks import SAFETY_HOOKS, task_of
from mmseg_pointrend.compat.config_keys import check_old_keys, check_options
from mmseg_pointrend.compat.distributed import give_slurm_job_a_port, prepare_cpu_processes
from mmseg_pointrend.compat.versions import check_mmdet
from mmseg_pointrend.engine.type_names import type_name

compat.setup()

__all__ = [
    "fit_to_machine",
    "is_pointrend",
    "load_config",
    "names_type",
    "prepare_config",
    "shipped_config",
]

#: Hooks of mmengine's -> ours that do the same, and lose nothing when a training is interrupted.
SAFE_HOOKS = {
    "CheckpointHook": "SafeCheckpointHook",
    "EarlyStoppingHook": "ResumableEarlyStoppingHook",
}


def load_config(path: str | Path, options: dict | None = None) -> Config:
    """Read a config and override parts of it.

    Args:
        path: config file (Python), or the name of a config of this project.
        options: dotted keys and values, as `--cfg-options` gives them.

    Raises:
        FileNotFoundError: if there is no such config.
        ImportError: if it needs mmdet, which is missing.
        ValueError: for keys of mmsegmentation 0.x, or options that nothing reads.
    """
    config = _read(find_config(path))
    check_old_keys(config, options or ())
    if options:
        check_options(config, options)
        config.merge_from_dict(options)
    config.setdefault("custom_hooks", [])
    present = {type_name(hook) for hook in config.custom_hooks}
    wanted = (*task_of(config).data_hooks, *SAFETY_HOOKS)
    config.custom_hooks = [
        *config.custom_hooks,
        *(dict(type=name) for name in wanted if name not in present),
    ]
    checkpoint = config.get("default_hooks", {}).get("checkpoint")
    for hook in [*config.custom_hooks, *([checkpoint] if checkpoint else [])]:
        hook["type"] = SAFE_HOOKS.get(type_name(hook), hook["type"])
    return config


def _read(path: str | Path) -> Config:
    """Read a config; where it needs mmdet, and mmdet is missing, say so."""
    try:
        return Config.fromfile(str(path))
    except ImportError as error:
        if "mmdet" in str(error) or "mmseg_pointrend.instance" in str(error):
            check_mmdet()
        raise


def prepare_config(
    path: str | Path,
    work_dir: str | Path | None = None,
    options: dict | None = None,
    launcher: str = "none",
    local_rank: int | None = None,
) -> Config:
    """Load a config for a runner on this machine.

    Args:
        path: config file, or the name of a config of this project.
        work_dir: as told, else as the config says, else work_dirs/<config's name>.
        options: dotted config keys and values that override the file.
        launcher: "none", "pytorch", "slurm" or "mpi".
        local_rank: number of this process on its machine, if the launcher does not set LOCAL_RANK.

    Raises:
        FileNotFoundError: if there is no such config.
    """
    config = load_config(path, options)
    if work_dir is not None:
        config.work_dir = str(work_dir)
    elif config.get("work_dir") is None:
        config.work_dir = str(Path("work_dirs") / Path(path).stem)
    if config.get("randomness", {}).get("deterministic"):
        # cuBLAS reads it before its first product, and torch refuses products without it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    config.launcher = launcher
    if local_rank is not None:
        os.environ.setdefault("LOCAL_RANK", str(local_rank))
    if launcher == "slurm":
        give_slurm_job_a_port()
    fit_to_machine(config)
    _let_no_workers_persist(config)
    # Configs whose types are classes often have None; names, as of our hooks, need a scope.
    config.default_scope = config.get("default_scope") or "mmseg"
    init_default_scope(config.default_scope)
    return config


def fit_to_machine(config: Config) -> None:
    """Make a config for several GPUs run where there is none.

    Without CUDA, SyncBN becomes BN (several CPU processes cannot have SyncBN; in a single process
    the two are the same) and distributed processes talk through gloo instead of NCCL.
    """
    if torch.cuda.is_available():
        return
    _replace_sync_bn(config.model)
    if config.get("launcher", "none") != "none":
        prepare_cpu_processes(config)


def _let_no_workers_persist(config: Config) -> None:
    """Without workers there is nothing to persist: torch refuses what bases of configs ask for."""
    for split in ("train", "val", "test"):
        loader = config.get(f"{split}_dataloader") or {}
        if not loader.get("num_workers") and loader.get("persistent_workers"):
            loader["persistent_workers"] = False


def _replace_sync_bn(node: object) -> None:
    if isinstance(node, dict):
        if node.get("type") in ("SyncBN", nn.SyncBatchNorm):
            node["type"] = "BN"
        for value in node.values():
            _replace_sync_bn(value)
    elif isinstance(node, list | tuple):
        for value in node:
            _replace_sync_bn(value)


def is_pointrend(model: dict | nn.Module) -> bool:
    """Whether a model's decode head is a `PointRendHead`, or derived from it.

    Args:
        model: the model, or its config. Lists of heads, as mmsegmentation's PointRend has them,
            models without a decode head, and wrappers such as `PointRendTTA` are not: ask for the
            `module` of a wrapper.
    """
    if isinstance(model, dict):
        head = model.get("decode_head")
        return isinstance(head, dict) and names_type(head, "PointRendHead")
    return isinstance(getattr(model, "decode_head", None), MODELS.get("PointRendHead"))


def names_type(config: dict, base: str) -> bool:
    """Whether a config's `type`, a class or its name, descends from the registered class `base`."""
    found = config.get("type")
    found = MODELS.get(found) if isinstance(found, str) else found
    return isinstance(found, type) and issubclass(found, MODELS.get(base))
