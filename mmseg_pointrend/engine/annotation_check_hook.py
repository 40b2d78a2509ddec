"""Faults of annotations of instances, found before training starts."""

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmseg_pointrend.datasets.coco_files import count_pictures
from mmseg_pointrend.datasets.wrappers import innermost_datasets


@HOOKS.register_module()
class AnnotationCheckHook(Hook):
    """Look for the pictures of annotation files once, before training and testing; no arguments.

    It logs how many pictures and objects there are. A picture that is missing otherwise shows as an
    error of a loader's worker, perhaps hours later.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Runner) -> None:
        """Check the training and validation sets.

        Raises:
            FileNotFoundError: for pictures that do not exist.
        """
        self._check(runner, "train")
        if runner.val_loop is not None:
            self._check(runner, "val")

    def before_test(self, runner: Runner) -> None:
        """Check the test set.

        Raises:
            FileNotFoundError: for pictures that do not exist.
        """
        self._check(runner, "test")

    def _check(self, runner: Runner, split: str) -> None:
        name = f"{split}_dataloader.dataset"
        for dataset in innermost_datasets(getattr(runner, f"{split}_dataloader").dataset):
            found = count_pictures(dataset)
            if found.absent is not None:
                raise FileNotFoundError(
                    f"{name}: {found.number_absent} of {found.number} pictures of "
                    f"{dataset.ann_file} do not exist, first {found.absent}; set data_root, "
                    "data_prefix"
                )
            runner.logger.info(f"{name}: {found.describe()}")
