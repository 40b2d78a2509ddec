"""Resuming a training whose optimizer is divided among the processes.

Upstream: mmengine 0.10.7. Its `FSDPStrategy` gives `FSDP.optim_state_dict_to_load` its arguments in
the order of torch 2.0, which torch 2.1 changed: every resumption fails. It can go when mmengine
names them.
"""

from typing import Any

from mmengine.registry import STRATEGIES
from torch.distributed.fsdp import FullyShardedDataParallel


def mend_sharded_resume() -> None:
    """Let mmengine's `FSDPStrategy` load an optimizer's state; safe to call any number of times."""
    STRATEGIES.get("FSDPStrategy").load_optim_state_dict = _load_optim_state_dict


def _load_optim_state_dict(strategy: Any, state_dict: dict[str, Any]) -> None:
    """Give each process its part of the state of a whole optimizer.

    Raises:
        ValueError: for one whose parameters are numbered, as without the strategy.
    """
    if any(not isinstance(name, str) for name in state_dict["state"]):
        raise ValueError(
            "resume: the checkpoint is of a training without FSDPStrategy, whose optimizer numbers "
            "its parameters; leave strategy out, or start anew from the weights with load_from"
        )
    own = FullyShardedDataParallel.optim_state_dict_to_load(
        model=strategy.model,
        optim=strategy.optim_wrapper.optimizer,
        optim_state_dict=state_dict,
    )
    strategy.optim_wrapper.load_state_dict(own)
