"""Settings that are written in several places of a config and must be the same in all."""

import inspect
from collections.abc import Iterable, Mapping

from mmengine.dataset import BaseDataset
from torch import nn

#: Transforms that write an ignored value into label maps, or read it there: by name, the attribute
#: that holds it.
_FILLING = {
    "GenerateEdge": "ignore_index",
    "RandomCutOut": "seg_fill_in",
    "RandomMosaic": "seg_pad_val",
    "RandomRotate": "seg_pad_val",
}
#: Parts of the names of transforms after which a picture may not have the size of its crop.
_RESIZING = ("Resize", "Pad", "Rotate", "Mosaic", "Albu", "Crop")


def ignored_in_model(model: nn.Module) -> dict[str, int]:
    """List the ignored label of a model's heads, losses and padding, by the setting's name.

    A loss that is told the label at every call, by the head, has none of its own; padding that is
    switched off has none either.
    """
    places = {}
    for name, module in model.named_modules():
        if module is model or not name.startswith(("decode_head", "auxiliary_head")):
            continue
        for key in ("ignore_index", "ignore_label"):
            value = getattr(module, key, None)
            told = "ignore_index" in inspect.signature(module.forward).parameters
            if isinstance(value, int) and not told:
                places[f"model.{name}.{key}"] = value
    padding = getattr(model, "data_preprocessor", None)
    pads = getattr(padding, "size", None) or getattr(padding, "size_divisor", None)
    if pads and hasattr(padding, "seg_pad_val"):
        places["model.data_preprocessor.seg_pad_val"] = padding.seg_pad_val
    return places


def ignored_in_data(
    dataset: BaseDataset, transforms: Iterable[object], name: str
) -> dict[str, int]:
    """List the ignored label of a data set and of its transforms, by the setting's name.

    Args:
        dataset: a data set without wrappers.
        transforms: its own, and those of the wrappers around it.
        name: how it is called, "train_dataloader.dataset" for instance.
    """
    places = {}
    if hasattr(dataset, "ignore_index"):
        places[f"{name}.ignore_index"] = dataset.ignore_index
    # mmsegmentation writes 255 in both cases, whatever ignore_index is.
    if getattr(dataset, "reduce_zero_label", False):
        places[f"{name}.reduce_zero_label=True, which ignores by"] = 255
    if 255 in (getattr(dataset, "label_map", None) or {}).values():
        places[f"{name}.metainfo, whose classes are not all and ignore the others by"] = 255
    for transform in transforms:
        kind = type(transform).__name__
        key = _FILLING.get(kind)
        value = getattr(transform, key, None) if key else None
        if kind == "RandomCrop" and getattr(transform, "cat_max_ratio", 1) < 1:
            key, value = "ignore_index", getattr(transform, "ignore_index", None)
        if kind == "Pad" and isinstance(getattr(transform, "pad_val", None), dict):
            key, value = "pad_val.seg", transform.pad_val.get("seg", 255)
        if value is not None:
            places[f"{name}.pipeline {kind}.{key}"] = value
    return places


def ignored_in_metrics(metrics: Iterable[object], name: str) -> dict[str, int]:
    """List the ignored label of metrics, by the setting's name, as in "val_evaluator IoUMetric"."""
    return {
        f"{name} {type(metric).__name__}.ignore_index": metric.ignore_index
        for metric in metrics
        if isinstance(getattr(metric, "ignore_index", None), int)
    }


def check_ignored(places: Mapping[str, int]) -> None:
    """Compare the ignored labels of all places.

    Args:
        places: the label by the name of the setting.

    Raises:
        ValueError: naming the first two places that disagree.
    """
    names = list(places)
    for name in names[1:]:
        if places[name] != places[names[0]]:
            raise ValueError(
                f"{names[0]}={places[names[0]]}, but {name}={places[name]}; the ignored label must "
                f"be the same everywhere: {', '.join(names)}"
            )


def check_crop_size(transforms: Iterable[object], size: tuple[int, int] | None) -> None:
    """Compare the crops of a training pipeline with the size that batches are padded to.

    Args:
        transforms: of a data set, and of the wrappers around it.
        size: `data_preprocessor.size`, height and width; None if batches are not padded to a size.

    Raises:
        ValueError: if crops come out of the pipeline in another size.
    """
    sizing = [
        transform
        for transform in transforms
        if any(part in type(transform).__name__ for part in _RESIZING)
    ]
    if size is None or not sizing or type(sizing[-1]).__name__ != "RandomCrop":
        return
    crop = sizing[-1].crop_size
    crop = (crop, crop) if isinstance(crop, int) else tuple(crop)
    if crop != tuple(size):
        raise ValueError(
            f"train_dataloader.dataset.pipeline RandomCrop.crop_size={crop}, but "
            f"model.data_preprocessor.size={tuple(size)}; both must be the same (height, width)"
        )
