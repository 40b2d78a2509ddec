"""mmengine's checkpoints, deleted only when newer ones are complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import BaseStorageBackend
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from mmseg_pointrend.engine.accumulated_gradients import collect_gradients, restore_gradients

#: Where the message hub, and so a checkpoint, keeps the name of one saved on interruption.
_INTERRUPTED = "interrupted_ckpt"
#: Where a checkpoint keeps gradients that wait for more iterations.
_GRADIENTS = "gradients"


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's `CheckpointHook`, with the same arguments, from which a kill takes nothing.

    mmengine 0.10.7 deletes an old checkpoint, writes the new one under its own name and notes it in
    `last_checkpoint`: killed in between, a run with `max_keep_ckpts=1` has nothing left. Here new
    checkpoints (written whole, see `compat.whole_files`) come first and deletions last.

    Paths that a checkpoint remembers are looked for in the work dir of today, which may have moved.
    A checkpoint between iterations whose gradients are accumulated holds these gradients, too.
    """

    _waiting: dict[str, Tensor] | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the gradients that wait for more iterations."""
        if self._waiting:
            checkpoint[_GRADIENTS] = self._waiting

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Give a resumed training the gradients that waited."""
        gradients = checkpoint.pop(_GRADIENTS, {})
        if runner._resume and gradients:
            restore_gradients(runner, gradients)
            print_log("the gradients accumulated before are in the checkpoint", "current")

    def before_train(self, runner: Runner) -> None:
        """Find the folder and the checkpoints that a resumed run keeps."""
        super().before_train(runner)
        if is_main_process():
            for part in Path(self.out_dir).glob(".*.pth.*.part"):  # killed while it was written
                part.unlink()
        resumed = runner.iter > 0
        self.saved_iter = runner.iter if resumed else None
        self.last_ckpt = self._here(runner.message_hub.get_info("last_ckpt")) if resumed else None
        if self.save_best is not None:
            self._find_best_here(runner)

    def save_now(self, runner: Runner, epoch: int, iteration: int) -> str:
        """Save outside the schedule, to go on from later; the next regular checkpoint replaces it.

        Args:
            runner: in training, on every rank.
            epoch: epochs done.
            iteration: iterations done.

        Returns:
            the checkpoint's path; of the one there is, if these iterations are saved already.

        Raises:
            OSError: if it cannot be written.
        """
        if self.saved_iter == iteration and self.last_ckpt is not None:
            return self.last_ckpt
        meta = dict(epoch=epoch, iter=iteration)
        if not self.by_epoch:
            self._save_checkpoint_with_step(runner, iteration, meta)
            return self.last_ckpt
        # No number of epochs: a name of its own.
        name = f"iter_{iteration}.pth"
        path = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info(_INTERRUPTED, name)
        self._save(runner, name, meta)
        return path

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        interrupted = runner.message_hub.get_info(_INTERRUPTED, "")
        kept, outdated = self._keep(runner, step)
        name = self.filename_tmpl.format(step)
        # Noted with those that will be deleted: killed before that, a resumed run does it.
        self._save(runner, name, meta)
        for old in (*map(self.filename_tmpl.format, outdated), interrupted):
            if old not in ("", name):
                self._remove(self.file_backend.join_path(self.out_dir, old))
        if interrupted:
            runner.message_hub.update_info(_INTERRUPTED, "")
        if kept is not None:
            runner.message_hub.update_info("keep_ckpt_ids", kept)

    def _keep(self, runner: Runner, step: int) -> tuple[list[int] | None, list[int]]:
        """Note a new step in the message hub; split the steps into kept and outdated ones."""
        if self.max_keep_ckpts <= 0:
            return None, []
        steps = [old for old in self.keep_ckpt_ids if old != step] + [step]
        outdated, kept = steps[: -self.max_keep_ckpts], steps[-self.max_keep_ckpts :]
        runner.message_hub.update_info("keep_ckpt_ids", steps)
        self.keep_ckpt_ids.clear()
        self.keep_ckpt_ids.extend(kept)
        return kept, outdated

    def _save(self, runner: Runner, name: str, meta: dict) -> None:
        """Save a checkpoint, and note it as the last."""
        before, path = self.last_ckpt, self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", path)
        self._waiting = collect_gradients(runner, meta["iter"])
        try:
            runner.save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
        except OSError as error:
            what = f"{error.strerror}; the checkpoint is not written"
            if before is not None:
                what += f", the one before is complete: {before}"
            raise OSError(error.errno, what, path) from error
        finally:
            self._waiting = None
        self.last_ckpt, self.saved_iter = path, meta["iter"]
        if is_main_process():
            note = os.path.join(runner.work_dir, "last_checkpoint")
            self.file_backend.put_text(self.last_ckpt, note)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        with self._removals_last():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removals_last(self) -> Iterator[None]:
        """Delete what is deleted in this block when it is left without an error."""
        backend, later = self.file_backend, _RemovingLater(self.file_backend)
        self.file_backend = later
        try:
            yield
        finally:
            self.file_backend = backend
        for path in later.removed:
            self._remove(path)

    def _remove(self, path: str) -> None:
        if not is_main_process():
            return
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # DeepSpeed's checkpoints
            self.file_backend.rmtree(path)

    def _find_best_here(self, runner: Runner) -> None:
        """Take the best checkpoints to be in this run's folder, wherever they were written."""
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = self._here(self.best_ckpt_path)
            return
        for indicator, path in self.best_ckpt_path_dict.items():
            self.best_ckpt_path_dict[indicator] = self._here(path)

    def _here(self, path: str | None) -> str | None:
        here = path and self.file_backend.join_path(self.out_dir, os.path.basename(path))
        return here if here and self.file_backend.isfile(here) else path


class _RemovingLater:
    """A file backend that notes what to remove and leaves it there."""

    def __init__(self, backend: BaseStorageBackend) -> None:
        self._backend, self.removed = backend, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.removed.append(path)

    def rmtree(self, path: str) -> None:
        self.removed.append(path)
