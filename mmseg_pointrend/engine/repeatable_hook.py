"""Iterations that follow from the seed and their number: a resumed training is the whole one."""

import itertools

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from mmseg_pointrend.datasets.draws import NumberedBatchSampler, seed_everything


@HOOKS.register_module()
class RepeatableHook(Hook):
    """Make every iteration's random numbers follow from seed, process and iteration; no arguments.

    mmengine seeds once, at the start; a resumed run therefore draws other training points, other
    dropout. Seeded anew before each iteration, it draws the same, without random states in the
    checkpoint. With `datasets.draws`, which does so for the data, a resumed run is equal to the
    bit to the one that was not interrupted (where the device's operators are), and begins at
    once: mmengine loads and throws away all batches that were trained before.

    A checkpoint is written before the validation of its iteration. A run that resumes there
    validates first, so that best scores are not missed.

    With `randomness.deterministic=True` torch refuses operators without a deterministic algorithm.
    In validations and tests, where mmsegmentation's metrics use one on a GPU (`histc`) and no
    weight follows from it, torch only warns.
    """

    # Before hooks that draw random numbers themselves.
    priority = "VERY_HIGH"

    def before_train_epoch(self, runner: Runner) -> None:
        """Go on where the checkpoint was written: validation, then the next batch."""
        loop = runner.train_loop
        if self._started or loop.iter == 0:
            self._started = True
            return
        self._started = True
        if isinstance(loop, IterBasedTrainLoop) and isinstance(
            loop.dataloader.batch_sampler, NumberedBatchSampler
        ):
            # The loop is about to ask for as many batches and to forget them: the sampler has
            # passed over them already.
            forgotten = itertools.repeat(None, loop.iter)
            loop.dataloader_iterator = itertools.chain(forgotten, loop.dataloader_iterator)
        if runner.val_loop is not None and _validates_now(loop):
            print_log("Validating the checkpoint that the training goes on from", logger="current")
            runner.val_loop.run()

    def before_train(self, runner: Runner) -> None:
        """Start; nothing is done yet."""
        self._started = False

    def before_val(self, runner: Runner) -> None:
        """Be strict no longer."""
        self._was_strict = _is_strict()
        _only_warn()

    def after_val(self, runner: Runner) -> None:
        """Be as strict as before."""
        if self._was_strict:
            torch.use_deterministic_algorithms(True)

    def before_test(self, runner: Runner) -> None:
        """Be strict no longer."""
        _only_warn()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seed everything for this iteration on this process."""
        seed_everything(runner.seed, get_rank(), runner.iter)


def _is_strict() -> bool:
    """Whether torch refuses what it cannot do deterministically."""
    return torch.get_deterministic_debug_mode() == 2


def _only_warn() -> None:
    if _is_strict():
        torch.use_deterministic_algorithms(True, warn_only=True)


def _validates_now(loop: BaseLoop) -> bool:
    """Whether a validation was due right after what a loop has done."""
    if isinstance(loop, EpochBasedTrainLoop):
        return loop.iter % len(loop.dataloader) == 0 and _is_due(loop, loop.epoch, loop.max_epochs)
    return _is_due(loop, loop.iter, loop.max_iters)


def _is_due(loop: BaseLoop, done: int, end: int) -> bool:
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == end)
