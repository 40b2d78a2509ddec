"""Labels outside the classes, found before training starts."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from rich.progress import track


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Read every label map once before training, and stop at a label that is no class.

    Such a label otherwise shows as an index error deep in a loss, on a GPU as an assertion that
    names neither file nor label. Files are read through the data set's own loading transform, so
    `reduce_zero_label` and `label_map` count. Distributed ranks share the files; a resumed run,
    whose files were checked when it started, skips them. A class that occurs in no training label
    is worth a warning.

    Args:
        num_threads: files read at a time by each rank.
    """

    priority = "VERY_HIGH"

    def __init__(self, num_threads: int = 4) -> None:
        self.num_threads = num_threads

    def before_train(self, runner: Runner) -> None:
        """Check the training and validation sets.

        Raises:
            ValueError: naming the file, the label found, and what would be right.
        """
        if runner.iter > 0:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        training = list(innermost_datasets(runner.train_dataloader.dataset))
        seen = set().union(*(self.check(dataset, model.num_classes) for dataset in training))
        absent = describe_absent(seen, training[0], model.num_classes)
        if seen and absent:
            runner.logger.warning(absent)
        if runner.val_loop is not None:
            for dataset in innermost_datasets(runner.val_dataloader.dataset):
                self.check(dataset, model.num_classes)

    def check(self, dataset: BaseDataset, num_classes: int) -> set[int]:
        """Check one data set; on distributed ranks all raise if one finds a fault.

        Returns:
            the labels that occur, `ignore_index` included; none for a data set whose pipeline does
            not load label maps.

        Raises:
            ValueError: for a number of classes that differs from the data set's, or a label map
                that cannot be read or holds a label outside the classes.
        """
        names = dataset.metainfo.get("classes")
        if names is not None and len(names) != num_classes:
            raise ValueError(
                f"decode_head.num_classes={num_classes}, but {type(dataset).__name__} has "
                f"{len(names)} classes; set model.decode_head.num_classes={len(names)}"
            )
        loader = _label_loader(dataset)
        if loader is None:
            return set()
        rank, world_size = get_dist_info()
        indices = range(rank, len(dataset), world_size)

        def inspect(index: int) -> tuple[set[int], str | None]:
            info = dataset.get_data_info(index)
            return inspect_label_map(loader, info, num_classes, dataset.ignore_index)

        seen, fault = set(), None
        with ThreadPoolExecutor(self.num_threads) as pool:
            results = pool.map(inspect, indices)
            for labels, fault in track(results, "Checking labels", len(indices), disable=rank > 0):
                seen |= labels
                if fault is not None:
                    pool.shutdown(cancel_futures=True)
                    break
        reports = all_gather_object((seen, fault))
        for _, message in reports:
            if message is not None:
                raise ValueError(message)
        return set().union(*(labels for labels, _ in reports))


def inspect_label_map(
    loader: object, info: dict, num_classes: int, ignore_index: int
) -> tuple[set[int], str | None]:
    """Read one label map.

    Args:
        loader: the transform that reads `info["seg_map_path"]` into `gt_seg_map`.
        info: the data set's record of the image.
        num_classes: labels must lie below it,
        ignore_index: or be this.

    Returns:
        the labels in it, and what is wrong with it (None if nothing).
    """
    path = info.get("seg_map_path")
    try:
        labels = loader(dict(info, seg_fields=[]))["gt_seg_map"]
    except Exception as error:  # whatever the file makes the decoder raise
        return set(), f"cannot read label map {path}: {error}"
    if labels.ndim != 2:
        return set(), (
            f"label map {path} has shape {labels.shape}; it must be one channel of class indices, "
            "not colours"
        )
    found = {int(label) for label in np.flatnonzero(np.bincount(labels.ravel()))}
    wrong = sorted(label for label in found if label >= num_classes and label != ignore_index)
    if not wrong:
        return found, None
    shown = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
    return found, (
        f"label map {path} holds the label(s) {shown}; labels must lie in [0, {num_classes - 1}] "
        f"or be {ignore_index} (ignored): check num_classes and the data set's reduce_zero_label"
    )


def describe_absent(seen: set[int], dataset: BaseDataset, num_classes: int) -> str | None:
    """Describe classes that occur in no label map, or return None if all do."""
    absent = [label for label in range(num_classes) if label not in seen]
    if not absent:
        return None
    names = dataset.metainfo.get("classes") or [str(label) for label in range(num_classes)]
    message = f"No training label holds {', '.join(names[label] for label in absent)}: "
    if seen == {0, 255} and dataset.ignore_index == 255:
        return message + "all labels are 0 or 255, and 255 is ignored; write the second class as 1"
    return message + "a model cannot learn what it never sees"


def innermost_datasets(dataset: object) -> Iterator[object]:
    """Yield the data sets inside mmengine's wrappers (concatenated, repeated, balanced).

    Args:
        dataset: a data set, or its config (a `ConfigDict`).
    """
    if hasattr(dataset, "datasets"):
        for inner in dataset.datasets:
            yield from innermost_datasets(inner)
    elif hasattr(dataset, "dataset"):
        yield from innermost_datasets(dataset.dataset)
    else:
        yield dataset


def _label_loader(dataset: BaseDataset) -> object | None:
    for transform in dataset.pipeline.transforms:
        if type(transform).__name__ == "LoadAnnotations":
            return transform
    return None
