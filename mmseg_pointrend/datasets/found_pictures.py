"""Which pictures a data set finds, and which files in its folder it passes over."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS

#: Endings of pictures; another file in a data set's folder is not missed.
PICTURE_ENDINGS = frozenset(
    ".bmp .gif .jp2 .jpe .jpeg .jpg .npy .pgm .png .ppm .tif .tiff .webp".split()
)
_NAMED_SETTINGS = ("data_root", "data_prefix", "ann_file", "img_suffix")


def build_settings(config: dict) -> BaseDataset:
    """Build a data set as far as its settings, without its list of pictures.

    Args:
        config: of a data set without wrappers.
    """
    own = {"test_mode": False} if "test_mode" in config else {}
    return DATASETS.build(dict(config, lazy_init=True, **own))


def find_pictures(config: dict, name: str, needs_classes: bool = False) -> BaseDataset:
    """Build a data set as far as its settings, and look for its files.

    Args:
        config: of a data set without wrappers.
        name: how the data set is called in errors.
        needs_classes: whether its class names are asked for, as metrics do.

    Returns:
        the data set, not initialised: without its list of pictures.

    Raises:
        FileNotFoundError: if a folder or the list of files does not exist.
        ValueError: if there are no pictures, or no class names that are needed.
    """
    where = ", ".join(f"{key}={config[key]!r}" for key in _NAMED_SETTINGS if config.get(key))
    try:
        dataset = build_settings(config)
    except AssertionError as error:
        # mmsegmentation's DRIVE, VOC and others look for their folders, and say no more.
        missing = next((path for path in _places(config) if not os.path.exists(path)), None)
        if missing is None:
            raise ValueError(
                f"{name}: {config['type']} cannot be built ({where}): {error}"
            ) from error
        raise FileNotFoundError(
            f"{name}: {missing} does not exist; set data_root ({where})"
        ) from error
    if needs_classes and dataset.metainfo.get("classes") is None:
        raise ValueError(
            f"{name}: {type(dataset).__name__} has no class names, which metrics need; set "
            'metainfo=dict(classes=("...", "..."))'
        )
    listed = getattr(dataset, "ann_file", "")
    if listed and "://" not in str(listed) and not os.path.exists(listed):
        raise FileNotFoundError(f"{name}: ann_file {listed} does not exist ({where})")
    try:
        records = dataset.load_data_list()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{name}: {error.filename or error} does not exist; set data_root ({where})"
        ) from error
    if not records:
        suffix = getattr(dataset, "img_suffix", "")
        passed = describe_counts(passed_over(dataset, ()))
        found = f"; passed over: {passed}" if passed else ""
        raise ValueError(f"{name}: no images *{suffix} found ({where}){found}")
    return dataset


def _places(config: dict) -> Iterator[str]:
    """List the files and folders that a data set's config names."""
    root = str(config.get("data_root") or "")
    yield root or "."
    prefix = config.get("data_prefix") or {}
    for path in (config.get("ann_file"), *prefix.values()):
        if path:
            yield os.path.join(root, str(path))


def passed_over(dataset: BaseDataset, taken: Iterable[str]) -> Counter[str]:
    """Count pictures in a data set's folder of pictures that it does not take.

    Args:
        dataset: a data set that takes whatever ends in `img_suffix`. Others, and those that have a
            list of files, take what they mean to.
        taken: paths of pictures that other data sets take from the same folder.

    Returns:
        their number by ending. Label maps that lie in the same folder are left out.
    """
    folder = _folder(dataset)
    suffix = getattr(dataset, "img_suffix", None)
    listed = os.path.isfile(getattr(dataset, "ann_file", None) or "")
    if suffix is None or listed or not folder or not os.path.isdir(folder):
        return Counter()
    known = {os.path.abspath(path) for path in taken}
    labels = getattr(dataset, "seg_map_suffix", None)
    counts: Counter[str] = Counter()
    for root, _, names in os.walk(folder):
        for name in names:
            ending = Path(name).suffix
            is_label = bool(labels) and labels != suffix and name.endswith(labels)
            if ending.lower() not in PICTURE_ENDINGS or is_label or name.endswith(suffix):
                continue
            if os.path.abspath(os.path.join(root, name)) not in known:
                counts[ending] += 1
    return counts


def describe_pictures(datasets: Sequence[BaseDataset]) -> Iterator[tuple[str, str | None]]:
    """Say how many pictures data sets found, and how many files they passed over.

    Args:
        datasets: data sets without wrappers that are used together, initialised.

    Yields:
        of each a line for whoever wants to know, and a warning (None if nothing was passed over).
    """
    taken = [path for dataset in datasets for path in _list_paths(dataset)]
    for dataset in datasets:
        folder, number = _folder(dataset), len(dataset)
        count = f"{number} picture{'' if number == 1 else 's'}"
        if folder:
            count += f" in {folder}"
        counts, warning = passed_over(dataset, taken), None
        if counts:
            warning = (
                f"passed over in {folder}: {describe_counts(counts)}; a picture is what ends in "
                f"{dataset.img_suffix} (img_suffix, case matters)"
            )
        yield count, warning


def describe_counts(counts: Counter[str]) -> str:
    """Write numbers of files by ending, as in "6 *.PNG, 1 *.tif"."""
    return ", ".join(f"{number} *{ending}" for ending, number in counts.most_common())


def _folder(dataset: BaseDataset) -> str | None:
    return getattr(dataset, "data_prefix", {}).get("img_path")


def _list_paths(dataset: BaseDataset) -> Iterator[str]:
    for index in range(len(dataset)):
        path = dataset.get_data_info(index).get("img_path")
        if path is not None:
            yield path
