"""What a test predicts, written as files: the same as `tools/predict.py` writes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmseg.structures import SegDataSample

from mmseg_pointrend.datasets.wrappers import innermost_datasets
from mmseg_pointrend.inference.inputs import Picture, name_pictures
from mmseg_pointrend.inference.instances import objects_of, paint_objects
from mmseg_pointrend.inference.names import absolute, common_folder
from mmseg_pointrend.inference.overlays import paint
from mmseg_pointrend.inference.palettes import complete_palette
from mmseg_pointrend.inference.written import (
    check_inside,
    label_dtype,
    write_labels,
    write_overlay,
)


@HOOKS.register_module()
class PredictionsHook(Hook):
    """Write what a test predicts, under names that no two pictures share.

    A picture keeps its place below the deepest folder that holds all pictures' folders.

    Args:
        out: folder for label maps: PNG, class indices from 0, whatever values the data set's own
            files have; in 8 bits, or 16 for more than 256 classes.
        show_dir: folder for painted pictures: JPEG, the truth on the left if it is known, the
            prediction on the right.
    """

    def __init__(self, out: str | None = None, show_dir: str | None = None) -> None:
        self.out, self.show_dir = out, show_dir

    def before_test(self, runner: Runner) -> None:
        """Name the files.

        Raises:
            ValueError: if a file would take the place of a picture of the data set.
        """
        leaves = list(innermost_datasets(runner.test_dataloader.dataset))
        self._loaders = {path: leaf for leaf in leaves for path in _paths(leaf)}
        folders = [_folder(leaf, path) for path, leaf in self._loaders.items()]
        paths = sorted({absolute(path) for path in self._loaders})
        found = name_pictures(paths, common_folder(set(folders)))
        self._pictures = {picture.path: picture for picture in found.pictures}
        self._know_classes(runner, leaves[0].metainfo)
        for picture in found.pictures:
            for target in self._targets(picture):
                if absolute(target) in self._pictures:
                    raise ValueError(f"{target} is a picture of the data set: take another folder")

    def _know_classes(self, runner: Runner, meta: dict) -> None:
        """Find out how many classes there are: as in predictions of files, the model says so."""
        model = runner.model
        while not hasattr(model, "num_classes"):  # what distributes it, or augments its tests
            model = model.module
        count = model.num_classes
        self._depth = label_dtype(count)
        self._palette = complete_palette(meta.get("palette") or [], count)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[SegDataSample] | None = None,
    ) -> None:
        """Write the files of a batch."""
        for sample in outputs or ():
            picture = self._pictures[absolute(sample.img_path)]
            labels = sample.pred_sem_seg.data[0].cpu().numpy()
            if self.out is not None:
                path = _place(self.out, picture, ".png")
                write_labels(path, labels.astype(self._depth), self._palette)
            if self.show_dir is not None:
                path = _place(self.show_dir, picture, ".jpg")
                write_overlay(path, self._paint(sample, labels))

    def _targets(self, picture: Picture) -> list[Path]:
        folders = ((self.out, ".png"), (self.show_dir, ".jpg"))
        return [_path(folder, picture, ending) for folder, ending in folders if folder]

    def _paint(self, sample: SegDataSample, labels: np.ndarray) -> np.ndarray:
        """Paint the truth, if there is one, and the prediction."""
        pixels = self._load(sample)
        painted = [paint(pixels, labels, self._palette)]
        if "gt_sem_seg" in sample:
            truth = sample.gt_sem_seg.data[0].cpu().numpy()
            painted.insert(0, paint(pixels, _like(truth, labels.shape), self._palette))
        return np.concatenate(painted, axis=1)

    def _load(self, sample: Any) -> np.ndarray:
        """Load a sample's picture as its data set does."""
        loader = self._loaders[sample.img_path].pipeline.transforms[0]
        return loader(dict(img_path=sample.img_path))["img"]


@HOOKS.register_module()
class PaintedObjectsHook(PredictionsHook):
    """Paint the objects that a test predicts, under names that no two pictures share.

    Args:
        show_dir: folder for painted pictures: JPEG, objects with box, class, score and mask.
        score: what is less sure is not painted.
    """

    def __init__(self, show_dir: str, score: float = 0.3) -> None:
        super().__init__(show_dir=show_dir)
        self.score = score

    def _know_classes(self, runner: Runner, meta: dict) -> None:
        self._classes = meta.get("classes") or ()
        self._palette = complete_palette(meta.get("palette") or [], max(1, len(self._classes)))

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Write the files of a batch."""
        for sample in outputs or ():
            picture = self._pictures[absolute(sample.img_path)]
            painted = paint_objects(
                self._load(sample), objects_of(sample, self.score), self._classes, self._palette
            )
            write_overlay(_place(self.show_dir, picture, ".jpg"), painted)


def _paths(leaf: object) -> list[str]:
    return [leaf.get_data_info(index)["img_path"] for index in range(len(leaf))]


def _folder(leaf: object, path: str) -> str:
    """Find the folder of a data set's pictures, if it holds this one."""
    prefixes = getattr(leaf, "data_prefix", {})
    prefix = prefixes.get("img_path") or prefixes.get("img")
    own = os.path.dirname(absolute(path))
    if not prefix:
        return own
    return os.path.commonpath([absolute(prefix), own])


def _path(folder: str, picture: Picture, ending: str) -> Path:
    return Path(folder) / picture.name.with_suffix(ending)


def _place(folder: str, picture: Picture, ending: str) -> Path:
    path = _path(folder, picture, ending)
    check_inside(folder, path)
    return path


def _like(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize labels to (height, width), the nearest one each."""
    rows, columns = (
        (np.arange(new) + 0.5) * old // new for new, old in zip(shape, labels.shape, strict=True)
    )
    return labels[np.ix_(rows.astype(int), columns.astype(int))]
