"""The runner that a config asks for: mmengine's, or its flexible one, which divides a model."""

import torch
from mmengine.config import Config
from mmengine.runner import FlexibleRunner, Runner

from mmseg_pointrend.compat.sharded_optimizers import mend_sharded_resume
from mmseg_pointrend.engine.type_names import type_name

#: Why a strategy of mmengine's is not taken.
_REFUSED = dict(
    DDPStrategy="is what several processes do anyway: leave strategy out",
    SingleDeviceStrategy="is what one process does anyway: leave strategy out",
    DeepSpeedStrategy="writes checkpoints past the hooks, folders that --resume and tests do not "
    "read: take FSDPStrategy",
    ColossalAIStrategy="is not supported: take FSDPStrategy",
)


def build_runner(config: Config) -> Runner | FlexibleRunner:
    """Build the runner that trains a config.

    Without `strategy` that is mmengine's `Runner`. With `strategy=dict(type="FSDPStrategy")` it is
    its `FlexibleRunner`: the processes share the parameters, gradients and optimizer states of one
    model (torch's `FullyShardedDataParallel`). Checkpoints are those of a whole model.

    Args:
        config: as `prepare_config` gives it; the defaults of a strategy are filled in.

    Raises:
        ValueError: for a strategy that does not work here, or settings that do not work with it.
    """
    strategy, kind = config.get("strategy"), config.get("runner_type", "Runner")
    if strategy is None:
        if kind != "Runner":
            raise ValueError(f"runner_type={kind!r} needs a strategy; leave it out to train alone")
        return Runner.from_cfg(config)
    if kind not in ("Runner", "FlexibleRunner"):
        raise ValueError(f"runner_type must be 'FlexibleRunner' with a strategy, got {kind!r}")
    name = type_name(strategy)
    if name != "FSDPStrategy":
        reason = _REFUSED.get(name, "is not known: take FSDPStrategy")
        raise ValueError(f"strategy: {name} {reason}")
    _check_sharding(config)
    wrapper = strategy.setdefault("model_wrapper", dict(type="MMFullyShardedDataParallel"))
    if torch.cuda.is_available():
        strategy["state_dict_cfg"] = "full"
    else:
        wrapper.setdefault("device_id", "cpu")
        strategy["state_dict_cfg"] = _full_on_cpu()
    mend_sharded_resume()
    return FlexibleRunner.from_cfg(config)


def _full_on_cpu() -> dict:
    """Say "full" in a way that works on a CPU, where torch 2.13 crashes as it offloads to it."""
    settings = dict(rank0_only=True, offload_to_cpu=False)
    return dict(
        state_dict_type="FULL_STATE_DICT",
        state_dict_config=dict(type="FullStateDictConfig", **settings),
        optim_state_dict_config=dict(type="FullOptimStateDictConfig", **settings),
    )


def _check_sharding(config: Config) -> None:
    """Refuse what gives wrong results, or none, where each process has a part of each weight."""
    if config.get("launcher", "none") == "none":
        raise ValueError("strategy: FSDPStrategy needs several processes: tools/dist_train.sh")
    saved = config.strategy.get("state_dict_cfg", "full")
    if saved != "full":
        raise ValueError(
            "strategy.state_dict_cfg must be 'full': other checkpoints are read by no tool here, "
            f"got {saved!r}"
        )
    if config.optim_wrapper.get("clip_grad"):
        raise ValueError(
            "optim_wrapper.clip_grad does not work with FSDPStrategy: mmengine measures a part of "
            "the gradient on each process; set clip_grad=None"
        )
    if config.optim_wrapper.get("accumulative_counts", 1) > 1:
        raise ValueError(
            "optim_wrapper.accumulative_counts does not work with FSDPStrategy: checkpoints hold "
            "whole gradients; take larger batches"
        )
    if any(type_name(hook) == "EMAHook" for hook in config.custom_hooks):
        raise ValueError("EMAHook does not work with FSDPStrategy: it copies parts of weights")
