"""What a file's user must know of a graph beside its inputs and outputs, as texts."""

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg_pointrend import __version__
from mmseg_pointrend.export.labels import LabelGraph
from mmseg_pointrend.export.tracing import Sizes


def describe(
    graph: LabelGraph,
    sizes: Sizes,
    name: str,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> dict[str, str]:
    """Describe a graph.

    Args:
        graph: what is written.
        sizes: what is fixed of its pictures.
        name: of the config.
        classes: their names; empty if they are not known.
        palette: (R, G, B) of each class.

    Returns:
        texts by their keys; those of `classes`, `palette`, `pictures` and `outputs` are JSON.
    """
    pictures, preparation = graph.settings.pictures, graph.preparation
    size = sizes.size or ("height", "width")
    outputs = dict(labels=str(graph.dtype).removeprefix("torch."))
    if graph.settings.confidence:
        outputs["confidence"] = "float32"
    found = dict(
        model=name,
        made_by=f"mmseg_pointrend {__version__}, torch {torch.__version__}",
        pictures=dict(
            shape=[sizes.batch or "batch", graph.channels, *size],
            pixels=pictures.pixels,
            order=preparation.network_order if pictures.normalized else pictures.order,
            normalized=pictures.normalized,
            mean=_numbers(preparation.mean),
            std=_numbers(preparation.std),
        ),
        outputs=outputs,
        classes=list(classes),
        palette=[list(color) for color in palette],
    )
    if graph.threshold is not None:
        found["threshold"] = str(graph.threshold)
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()
    }


def _numbers(values: Tensor | None) -> list[float] | None:
    return None if values is None else values.flatten().tolist()
