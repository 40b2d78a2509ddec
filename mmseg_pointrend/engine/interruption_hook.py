"""Stopping on request: the iteration is finished and saved first."""

import signal
import sys
import threading
import time
from types import FrameType

import torch
from mmengine.dist import all_reduce, get_comm_device, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmseg_pointrend.datasets.workers import shield_starts
from mmseg_pointrend.engine.accumulated_gradients import are_applied
from mmseg_pointrend.engine.safe_checkpoint_hook import SafeCheckpointHook
from mmseg_pointrend.engine.sharding import is_sharded

SIGNALS = (signal.SIGTERM, signal.SIGINT)

#: Seconds within which the same signal counts once: launchers pass on what a terminal sends to all.
ECHO = 1.0


@HOOKS.register_module()
class InterruptionHook(Hook):
    """On SIGTERM or SIGINT finish the iteration, save, say how to go on, and exit; no arguments.

    Slurm and other schedulers send SIGTERM before they take a machine away, Ctrl-C sends SIGINT.
    The exit status is 128 and the signal's number: 143 or 130. A second signal ends at once.

    With several processes all stop after the same iteration, whichever of them got the signal.
    With gradients accumulated over iterations, the stop is where they have been applied. In a
    validation the main process stops after a batch; the resumed training validates again. Where
    each process has a part of the model, the validation is finished first.
    """

    # After everything that an iteration does, its regular checkpoint included.
    priority = "LOWEST"

    def before_run(self, runner: Runner) -> None:
        """Start with no signal."""
        self._signal, self._since, self._before = 0, 0.0, {}

    def before_train(self, runner: Runner) -> None:
        """Let loaders start workers that outlive a signal."""
        for loop in (runner.train_loop, runner.val_loop):
            loader = getattr(loop, "dataloader", None)
            if isinstance(loader, DataLoader):
                shield_starts(loader)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Listen, from the first iteration on: before it there is nothing to save."""
        if not self._before and threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Stop after an iteration whose gradients are applied."""
        if not are_applied(runner, runner.iter + 1) or (
            # The end of an epoch is saved as such.
            isinstance(runner.train_loop, EpochBasedTrainLoop)
            and self.end_of_epoch(runner.train_dataloader, batch_idx)
        ):
            return
        self._stop_if(self._agree(), runner, runner.epoch, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Stop after an epoch."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._stop_if(self._agree(), runner, runner.epoch + 1, runner.iter)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: list | None = None,
    ) -> None:
        """Stop after a batch of a validation between iterations."""
        # Processes may have different numbers of batches, and cannot ask each other.
        if self._before and is_main_process() and not is_sharded(runner):
            self._stop_if(self._signal, runner, runner.epoch, runner.iter)

    def after_run(self, runner: Runner) -> None:
        """Listen no longer."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signal and (number != self._signal or now - self._since > ECHO):
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if not self._signal:
            self._signal, self._since = number, now
            if is_main_process():
                print_log(
                    f"{signal.Signals(number).name}: stopping after this iteration; "
                    "a second one stops at once",
                    logger="current",
                )

    def _stop_if(self, number: int, runner: Runner, epoch: int, iteration: int) -> None:
        """Stop for a signal's number; 0: go on."""
        if not number:
            return
        saver = next((hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)), None)
        if saver is None:
            print_log("stopped; nothing saved: there is no checkpoint hook", logger="current")
        else:
            path = saver.save_now(runner, epoch, iteration)
            print_log(
                f"stopped after iteration {iteration}, saved to {path}; "
                "the same command with --resume goes on from there",
                logger="current",
            )
        self.after_run(runner)
        sys.exit(128 + number)

    def _agree(self) -> int:
        """Find out which signal any process got; 0 if none did."""
        if get_world_size() == 1:
            return self._signal
        number = torch.tensor([self._signal], device=get_comm_device())
        all_reduce(number, "max")
        return int(number)
