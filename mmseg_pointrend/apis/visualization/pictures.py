"""Which pictures are shown, and what is known of them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_pointrend.apis.inferencer import PointRendInferencer
from mmseg_pointrend.inference.inputs import find_pictures, name_pictures
from mmseg_pointrend.inference.names import absolute, common_folder


class Shown(NamedTuple):
    """A picture that is shown.

    Attributes:
        path: of its file.
        name: what is written for it, without an ending that counts.
        truth: (H, W), class indices, if it is known.
    """

    path: str
    name: Path
    truth: np.ndarray | None = None


def of_files(
    pictures: Sequence[str | os.PathLike], truths: Sequence[str | os.PathLike]
) -> Iterator[Shown]:
    """List the pictures; with truths each is a file, and they keep their order."""
    if not truths:
        for picture in find_pictures(pictures).pictures:
            yield Shown(picture.path, Path(picture.name))
        return
    paths = list(map(absolute, pictures))
    for path in paths:
        if not os.path.isfile(path):
            raise FileNotFoundError(f"with truths a picture is a file, and {path} is none")
    names = _names(paths)
    for path, truth in zip(paths, truths, strict=True):
        yield Shown(path, names[path], _read_truth(truth))


def of_test_data(inferencer: PointRendInferencer, numbers: Sequence[int]) -> Iterator[Shown]:
    """List pictures of the config's test data."""
    dataset = DATASETS.build(inferencer.config.test_dataloader.dataset)
    for number in numbers:
        if not 0 <= number < len(dataset):
            raise ValueError(
                f"the test data have {len(dataset)} pictures, from 0 to {len(dataset) - 1}; got "
                f"{number}"
            )
    samples = [dataset[number]["data_samples"] for number in numbers]
    names = _names([sample.img_path for sample in samples])
    for sample in samples:
        truth = sample.gt_sem_seg.data[0].numpy() if "gt_sem_seg" in sample else None
        yield Shown(sample.img_path, names[sample.img_path], truth)


def _names(paths: Iterable[str]) -> dict[str, Path]:
    """Name what is written for pictures, so that no two have one name."""
    paths = sorted(set(paths))
    root = common_folder({os.path.dirname(absolute(path)) for path in paths})
    found = name_pictures([absolute(path) for path in paths], root)
    return {path: Path(one.name) for path, one in zip(paths, found.pictures, strict=True)}


def _read_truth(path: str | os.PathLike) -> np.ndarray:
    """Read a label map: (H, W)."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"truth {os.fspath(path)} does not exist")
    try:
        with Image.open(path) as image:
            labels = np.asarray(image)
    except OSError as error:
        raise ValueError(f"truth {os.fspath(path)} is not an image ({error})") from error
    if labels.ndim != 2:
        raise ValueError(
            f"truth {os.fspath(path)} must hold class indices, (H, W), got colours {labels.shape}"
        )
    return labels
