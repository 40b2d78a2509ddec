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
