"""The data sets inside mmengine's wrappers."""

from collections.abc import Iterator


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


def mixing_wrappers(dataset: object) -> Iterator[object]:
    """Yield the wrappers that have a pipeline of their own, as mmsegmentation's for mosaics."""
    inner = list(getattr(dataset, "datasets", ())) or [getattr(dataset, "dataset", None)]
    if inner != [None] and hasattr(dataset, "pipeline_types"):
        yield dataset
    for one in inner:
        if one is not None:
            yield from mixing_wrappers(one)
