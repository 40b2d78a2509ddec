"""The data sets inside mmengine's and mmsegmentation's wrappers, and what is done to them there."""

from collections.abc import Iterator


def innermost_datasets(dataset: object) -> Iterator[object]:
    """Yield the data sets inside wrappers (concatenated, repeated, balanced, mixed).

    Args:
        dataset: a data set, or its config (a `ConfigDict`).
    """
    for inner, _ in datasets_and_transforms(dataset):
        yield inner


def datasets_and_transforms(dataset: object) -> Iterator[tuple[object, list]]:
    """Yield the data sets inside wrappers, each with all transforms that its pictures go through.

    These are its own, and those of the wrappers around it (`MultiImageMixDataset`).

    Args:
        dataset: a data set; the transforms of a config are configs.
    """
    inside = getattr(dataset, "datasets", None)
    if inside is None:
        inside = [dataset.dataset] if hasattr(dataset, "dataset") else None
    if inside is None:
        yield dataset, _transforms(dataset)
        return
    for part in inside:
        for inner, transforms in datasets_and_transforms(part):
            yield inner, [*transforms, *_transforms(dataset)]


def _transforms(dataset: object) -> list:
    """List a data set's transforms; most wrappers have none, or say what the one inside has."""
    pipeline = vars(dataset).get("pipeline") if hasattr(dataset, "__dict__") else None
    return list(getattr(pipeline, "transforms", pipeline) or ())


def mixing_wrappers(dataset: object) -> Iterator[object]:
    """Yield the wrappers that have a pipeline of their own, as mmsegmentation's for mosaics."""
    inner = list(getattr(dataset, "datasets", ())) or [getattr(dataset, "dataset", None)]
    if inner != [None] and hasattr(dataset, "pipeline_types"):
        yield dataset
    for one in inner:
        if one is not None:
            yield from mixing_wrappers(one)
