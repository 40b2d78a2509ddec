"""Settings that were changed between a checkpoint and the training that goes on from it."""

from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmseg_pointrend.engine.settings_text import find_changes, read_settings

_OPTIMIZER = ("optim_wrapper.optimizer.", "optim_wrapper.paramwise_cfg", "param_scheduler")


@HOOKS.register_module()
class ResumeHook(Hook):
    """Let the config of a resumed training win over its checkpoint, and name what is different.

    mmengine puts back the checkpoint's optimizer settings and schedules: a new learning rate, a
    longer training with a new end of its schedule change nothing, without a word. Here, if they are
    different, the config's are taken, and its schedules are wound forward to the iteration reached.
    The seed, too, is the config's.

    What no training can go on with is refused: another kind of optimizer, or other groups of
    parameters.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note how many processes there are."""
        checkpoint["meta"]["world_size"] = get_world_size()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Replace what the config has changed in a checkpoint that training goes on from.

        Raises:
            ValueError: for changes that do not fit the checkpoint's optimizer.
        """
        if isinstance(checkpoint.get("meta"), dict):
            checkpoint["meta"].pop("config", None)  # mmengine would run it as Python
        self._wind_forward = False
        if not runner._resume:
            return
        meta = checkpoint["meta"]
        changes = self._find_changes(runner, meta)
        if changes:
            print_log("Resumed with other settings, from now on: " + _describe(changes), "current")
        meta["seed"] = runner.seed
        if any(name.startswith(_OPTIMIZER) for name in changes) and isinstance(
            runner.optim_wrapper, OptimWrapper
        ):
            self._take_settings(runner, checkpoint["optimizer"], changes)
            checkpoint["param_schedulers"] = [
                scheduler.state_dict() for scheduler in runner.param_schedulers or ()
            ]
            self._wind_forward = True

    def before_train(self, runner: Runner) -> None:
        """Wind the config's schedules forward."""
        if not getattr(self, "_wind_forward", False) or not runner.param_schedulers:
            return
        loop, epochs = runner.train_loop, 0
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        for iteration in range(1, loop.iter + 1):
            _step(runner.param_schedulers, by_epoch=False)
            if by_epoch and iteration % len(loop.dataloader) == 0:
                epochs += 1
                _step(runner.param_schedulers, by_epoch=True)
        rates = ", ".join(
            f"{rate:.4g}" for rate in sorted(set(runner.optim_wrapper.get_lr()["lr"]))
        )
        print_log(f"Learning rate at iteration {loop.iter}: {rates}", "current")

    def _find_changes(self, runner: Runner, meta: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        changes = {}
        if isinstance(meta.get("cfg"), str):
            try:
                before = read_settings(meta["cfg"])
            except SyntaxError:
                return {}
            changes = find_changes(before, read_settings(runner.cfg.pretty_text))
        processes = (meta.get("world_size"), get_world_size())
        if None not in processes and processes[0] != processes[1]:
            changes["number of processes"] = processes
        if meta.get("seed") not in (None, runner.seed):
            changes["randomness.seed"] = (meta["seed"], runner.seed)
        return changes

    def _take_settings(self, runner: Runner, state: dict[str, Any], changes: dict) -> None:
        """Put the new optimizer's settings into the state of the old one."""
        kind = changes.get("optim_wrapper.optimizer.type")
        own = runner.optim_wrapper.state_dict()
        old_groups, new_groups = state["param_groups"], own["param_groups"]
        if kind or [len(g["params"]) for g in old_groups] != [len(g["params"]) for g in new_groups]:
            what = f"optimizer {kind[0]} -> {kind[1]}" if kind else "other groups of parameters"
            raise ValueError(
                f"resume: {what}: the checkpoint's optimizer state does not fit; keep the "
                "optim_wrapper, or start anew from the weights with load_from"
            )
        # Parameters are numbered, or named where each process has a part of them.
        state["param_groups"] = [
            new | dict(params=old["params"])
            for old, new in zip(old_groups, new_groups, strict=True)
        ]
        if "base_param_settings" in own:
            state["base_param_settings"] = own["base_param_settings"]


def _step(schedulers: list, by_epoch: bool) -> None:
    for scheduler in schedulers:
        if scheduler.by_epoch == by_epoch:
            scheduler.step()


def _describe(changes: dict[str, tuple[Any, Any]], most: int = 8) -> str:
    shown = [f"{name} {old} -> {new}" for name, (old, new) in list(changes.items())[:most]]
    left = len(changes) - len(shown)
    return "; ".join(shown) + (f"; and {left} more" if left > 0 else "")
