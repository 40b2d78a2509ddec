"""Faults of the data, found before training starts."""

from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from mmseg_pointrend.datasets.agreement import (
    check_crop_size,
    check_ignored,
    ignored_in_data,
    ignored_in_metrics,
    ignored_in_model,
)
from mmseg_pointrend.datasets.found_pictures import describe_pictures
from mmseg_pointrend.datasets.label_maps import (
    describe_absent,
    inspect_label_maps,
    label_map_check,
)
from mmseg_pointrend.datasets.wrappers import datasets_and_transforms, innermost_datasets


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Read every label map once before training, and stop at one that cannot be trained on.

    Before training and testing it logs how many pictures there are, and how many were passed over.

    A label that is no class otherwise shows as an index error deep in a loss, on a GPU as an
    assertion that names neither file nor label; other faults do not show at all. Files are read
    through the data set's own loading transform, so `reduce_zero_label` and `label_map` count; of
    pictures the header is read. Distributed ranks share the files; a resumed run, whose files were
    checked when it started, skips them. A class that occurs in no training label is worth a
    warning.

    Args:
        num_threads: files read at a time by each rank.
    """

    priority = "VERY_HIGH"

    def __init__(self, num_threads: int = 4) -> None:
        self.num_threads = num_threads

    def before_train(self, runner: Runner) -> None:
        """Check the training and validation sets.

        Raises:
            ValueError: naming the file, what is wrong with it, and what would be right.
        """
        _log_pictures(runner, "train", runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            _log_pictures(runner, "val", runner.val_dataloader.dataset)
        if runner.iter > 0:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        check_agreement(runner, model)
        training = list(innermost_datasets(runner.train_dataloader.dataset))
        seen = set().union(*(self.check(dataset, model.num_classes) for dataset in training))
        absent = describe_absent(seen, training[0], model.num_classes)
        if seen and absent:
            runner.logger.warning(absent)
        if runner.val_loop is not None:
            for dataset in innermost_datasets(runner.val_dataloader.dataset):
                self.check(dataset, model.num_classes)

    def before_test(self, runner: Runner) -> None:
        """Log how many pictures are tested.

        Raises:
            ValueError: if data set and metrics ignore different labels.
        """
        _log_pictures(runner, "test", runner.test_dataloader.dataset)
        check_ignored(_ignored_in_split(runner, "test"))

    def check(self, dataset: BaseDataset, num_classes: int) -> set[int]:
        """Check one data set; on distributed ranks all raise if one finds a fault.

        Returns:
            the labels that occur, `ignore_index` included; none for a data set whose pipeline does
            not load label maps.

        Raises:
            ValueError: for a number of classes that differs from the data set's, or a label map
                that cannot be read, holds a label outside the classes or more than 8 bits, or has
                another size than its picture.
        """
        names = dataset.metainfo.get("classes")
        if names is not None and len(names) == 1:
            raise ValueError(
                f"{type(dataset).__name__} has one class, {names[0]!r}; the background is a class, "
                f'too: set metainfo=dict(classes=("background", {names[0]!r}))'
            )
        if names is not None and len(names) != num_classes:
            raise ValueError(
                f"decode_head.num_classes={num_classes}, but {type(dataset).__name__} has "
                f"{len(names)} classes; set model.decode_head.num_classes={len(names)}"
            )
        check = label_map_check(dataset, num_classes)
        if check is None:
            return set()
        rank, world_size = get_dist_info()
        indices = range(rank, len(dataset), world_size)
        report = inspect_label_maps(dataset, check, indices, self.num_threads, progress=rank == 0)
        reports = all_gather_object(report)
        for _, message in reports:
            if message is not None:
                raise ValueError(message)
        return set().union(*(labels for labels, _ in reports))


def check_agreement(runner: Runner, model: nn.Module) -> None:
    """Compare the settings of a training's model, data and metrics.

    Raises:
        ValueError: naming two settings that disagree.
    """
    places = _ignored_in_split(runner, "train") | ignored_in_model(model)
    if runner.val_loop is not None:
        places |= _ignored_in_split(runner, "val")
    check_ignored(places)
    for _, transforms in datasets_and_transforms(runner.train_dataloader.dataset):
        check_crop_size(transforms, getattr(model.data_preprocessor, "size", None))


def _ignored_in_split(runner: Runner, split: str) -> dict[str, int]:
    places: dict[str, int] = {}
    inner = list(datasets_and_transforms(getattr(runner, f"{split}_dataloader").dataset))
    for number, (dataset, transforms) in enumerate(inner):
        suffix = f"[{number}]" if len(inner) > 1 else ""
        places |= ignored_in_data(dataset, transforms, f"{split}_dataloader.dataset{suffix}")
    if split != "train":
        metrics = getattr(runner, f"{split}_loop").evaluator.metrics
        places |= ignored_in_metrics(metrics, f"{split}_evaluator")
    return places


def _log_pictures(runner: Runner, split: str, dataset: BaseDataset) -> None:
    for count, warning in describe_pictures(list(innermost_datasets(dataset))):
        runner.logger.info(f"{split}_dataloader.dataset: {count}")
        if warning is not None:
            runner.logger.warning(f"{split}_dataloader.dataset: {warning}")
