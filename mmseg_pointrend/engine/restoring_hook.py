"""Predictions in the right place, whatever a test pipeline does to the picture."""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_pointrend.datasets.traced_pipeline import check_undone_by_mmseg, trace_pipelines


@HOOKS.register_module()
class RestoringHook(Hook):
    """Let the pipelines of validation and test record how to undo what they do; no arguments.

    Models bring their predictions back to the original picture by that record; a transform that
    cannot be undone is refused by its name (`datasets.traced_pipeline`), the first time before any
    picture is predicted. The config stays as it was written. A model that does not read the record,
    as mmsegmentation's own do not, is refused pipelines that need it.
    """

    priority = "VERY_HIGH"

    def before_val(self, runner: Runner) -> None:
        """Let the validation pipelines record.

        Raises:
            ValueError: for a transform that cannot be undone.
        """
        self._begin(runner, "val")

    def before_test(self, runner: Runner) -> None:
        """Let the test pipelines record.

        Raises:
            ValueError: for a transform that cannot be undone.
        """
        self._begin(runner, "test")

    def before_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | Sequence | None = None
    ) -> None:
        """Raise ValueError for a batch that the model does not bring back to the pictures."""
        self._check(runner, data_batch, "val")

    def before_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | Sequence | None = None
    ) -> None:
        """Raise ValueError for a batch that the model does not bring back to the pictures."""
        self._check(runner, data_batch, "test")

    def _begin(self, runner: Runner, split: str) -> None:
        dataset = getattr(runner, f"{split}_dataloader").dataset
        for inner in trace_pipelines(dataset, f"{split}_dataloader.dataset"):
            # The first picture, here and not in a loader's worker: what is wrong is told at once,
            # and transforms that have to be tried are tried once.
            if len(inner):
                self._check(runner, inner[0], split)

    def _check(self, runner: Runner, data: object, split: str) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if getattr(model, "follows_undo", False) or not isinstance(data, dict):
            return
        samples = data.get("data_samples", [])
        samples = samples if isinstance(samples, list | tuple) else [samples]
        check_undone_by_mmseg(samples, f"{split}_dataloader.dataset.pipeline")
