"""Early stopping whose patience is that of the whole training."""

from typing import Any

from mmengine.hooks import EarlyStoppingHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

#: Where a checkpoint keeps it.
_KEPT = "early_stopping"


@HOOKS.register_module()
class ResumableEarlyStoppingHook(EarlyStoppingHook):
    """mmengine's `EarlyStoppingHook`, with the same arguments, that goes on where it was.

    mmengine 0.10.7 begins to count anew in a resumed training, with no best score.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the best score, and how often it was missed."""
        state = dict(best_score=float(self.best_score), wait_count=self.wait_count)
        checkpoint.setdefault(_KEPT, {})[self.monitor] = state

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Go on from the checkpoint's state; one that has none, or of another metric, has none."""
        state = checkpoint.get(_KEPT, {}).get(self.monitor)
        if runner._resume and state is not None:
            self.best_score, self.wait_count = state["best_score"], state["wait_count"]
