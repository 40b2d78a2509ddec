"""Checkpoints that hold tensors and plain Python data only, and load back as they were.

Without it, mmengine 0.10.7 cannot resume a run from its own checkpoints: they hold pickled objects,
which `torch.load` with `weights_only=True` refuses; `mmseg_pointrend.compat.plain_data`
says which.
"""

import logging
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmseg_pointrend.compat.plain_data import LEAVE_OUT, make_plain, name_type, restore


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Keep checkpoints loadable with `weights_only=True`; takes no arguments.

    Values that have no plain form (a function put into the message hub, say) are left out of
    `message_hub` and `meta` with a warning that names them: losing a log entry is better than
    losing the run at the moment it is saved. Elsewhere (`optimizer`, `param_schedulers`, what
    other hooks add) they are kept, because a run cannot go on without them, with a warning that
    the file will not load with `weights_only=True`.
    """

    # After the hooks that add to a checkpoint or swap parts of it (EMAHook is NORMAL).
    priority = "VERY_LOW"

    def __init__(self) -> None:
        """Start with no warning given."""
        self._warned: set[str] = set()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Replace what is not plain; the objects the run goes on with are not changed.

        Args:
            runner: the runner that saves; not used.
            checkpoint: what is about to be saved; its entries are replaced by plain ones.
        """
        hub_before = checkpoint.get("message_hub")
        for section, value in checkpoint.items():
            handler = self._leave_out if section in ("message_hub", "meta") else self._keep
            checkpoint[section] = make_plain(value, section, handler)
        if isinstance(hub_before, dict):
            _forget_left_out(hub_before, checkpoint["message_hub"])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Give back the objects that `Runner.resume` expects.

        Args:
            runner: the runner that loads; not used.
            checkpoint: what was loaded, saved with this hook or without; changed in place.

        Raises:
            ValueError: if a tagged dict is of an unknown kind.
        """
        restore(checkpoint)

    def _leave_out(self, path: str, value: Any) -> Any:
        self._warn_once(path, f"{path} ({name_type(value)}) is not plain data and is not saved.")
        return LEAVE_OUT

    def _keep(self, path: str, value: Any) -> Any:
        self._warn_once(
            path,
            f"{path} ({name_type(value)}) is not plain data; it is saved, and this checkpoint "
            f"will not load with weights_only=True.",
        )
        return value

    def _warn_once(self, path: str, message: str) -> None:
        """Log `message` at the first checkpoint only; the next ones have the same entries."""
        if path not in self._warned:
            self._warned.add(path)
            print_log(f"Checkpoint: {message}", logger="current", level=logging.WARNING)


def _forget_left_out(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Take the names of what was left out off the hub's list of what to resume.

    mmengine warns at every resume about a name in that list without a value.
    """
    for part in ("log_scalars", "runtime_info"):
        for name in {*before.get(part, ())} - {*after.get(part, ())}:
            after.get("resumed_keys", {}).pop(name, None)
