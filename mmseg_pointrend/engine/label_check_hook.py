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
    whose files were checked when it started, skips them.

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
        loaders = [runner.train_dataloader]
        if runner.val_loop is not None:
            loaders.append(runner.val_dataloader)
        for loader in loaders:
            for dataset in unwrap(loader.dataset):
                runner.logger.info(f"Checking {len(dataset)} label maps")
                self.check(dataset, model.num_classes)

    def check(self, dataset: BaseDataset, num_classes: int) -> None:
        """Check one data set; on distributed ranks all raise if one finds a fault."""
        names = dataset.metainfo.get("classes")
        if names is not None and len(names) != num_classes:
            raise ValueError(
                f"decode_head.num_classes={num_classes}, but {type(dataset).__name__} has "
                f"{len(names)} classes; set model.decode_head.num_classes={len(names)}"
            )
        loader = _label_loader(dataset)
        if loader is None:
            return
        rank, world_size = get_dist_info()
        indices = range(rank, len(dataset), world_size)

        def fault(index: int) -> str | None:
            return find_fault(
                loader, dataset.get_data_info(index), num_classes, dataset.ignore_index
            )

        found = None
        with ThreadPoolExecutor(self.num_threads) as pool:
            faults = pool.map(fault, indices)
            for found in track(faults, "Checking labels", len(indices), disable=rank > 0):
                if found is not None:
                    pool.shutdown(cancel_futures=True)
                    break
        for message in all_gather_object(found):
            if message is not None:
                raise ValueError(message)


def find_fault(loader: object, info: dict, num_classes: int, ignore_index: int) -> str | None:
    """Describe what is wrong with one label map, or return None.

    Args:
        loader: the transform that reads `info["seg_map_path"]` into `gt_seg_map`.
        info: the data set's record of the image.
        num_classes: labels must lie below it,
        ignore_index: or be this.
    """
    path = info.get("seg_map_path")
    try:
        labels = loader(dict(info, seg_fields=[]))["gt_seg_map"]
    except Exception as error:
        return f"cannot read label map {path}: {error}"
    if labels.ndim != 2:
        return (
            f"label map {path} has shape {labels.shape}; it must be one channel of class indices, "
            "not colours"
        )
    wrong = [
        int(label)
        for label in np.flatnonzero(np.bincount(labels.ravel(), minlength=1))
        if label >= num_classes and label != ignore_index
    ]
    if not wrong:
        return None
    shown = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
    return (
        f"label map {path} holds the label(s) {shown}; labels must lie in [0, {num_classes - 1}] "
        f"or be {ignore_index} (ignored): check num_classes and the data set's reduce_zero_label"
    )


def unwrap(dataset: object) -> Iterator[BaseDataset]:
    """Yield the data sets inside mmengine's wrappers (concatenated, repeated, balanced)."""
    if hasattr(dataset, "datasets"):
        for inner in dataset.datasets:
            yield from unwrap(inner)
    elif hasattr(dataset, "dataset"):
        yield from unwrap(dataset.dataset)
    else:
        yield dataset


def _label_loader(dataset: BaseDataset) -> object | None:
    for transform in dataset.pipeline.transforms:
        if type(transform).__name__ == "LoadAnnotations":
            return transform
    return None
