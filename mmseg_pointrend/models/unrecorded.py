"""Pictures whose pipeline has kept no record, as in mmsegmentation's own inference functions.

Of what was done, mmcv's transforms leave the last flip, the factor of the last resize, the size
after the last padding. What these do not explain is refused.
"""

from typing import Any

from mmseg_pointrend.compat.upstream_transforms import NOT_UNDONE
from mmseg_pointrend.core import Crop, Flip, Step

Size = tuple[int, int]

_INSTEAD = (
    "predict with tools/predict.py or mmseg_pointrend.apis, which follow every step of a pipeline"
)


def undo_by_standard_meta(meta: dict, size: Size) -> list[Step]:
    """List what undoes a pipeline, by what mmcv's transforms leave in a sample.

    Args:
        meta: may have `flip`, `flip_direction`, `ori_shape`, `img_path`, `img_shape`, `pad_shape`
            and `scale_factor`.
        size: (H, W) that the pipeline gave.

    Returns:
        the steps; a resize to `ori_shape` has to follow.

    Raises:
        ValueError: if these do not explain the size, or leave open what came first.
    """
    flips = _flips(meta)
    content = _resized(meta)
    # A sample that no pipeline made has nothing that could contradict its `ori_shape`.
    made_by_pipeline = "img_path" in meta and "img_shape" in meta
    if not made_by_pipeline or content is None or content == size:
        return flips
    # Only `Pad` leaves three numbers; the preprocessor's padding takes the place of its record.
    pad = tuple(meta.get("pad_shape") or ())
    larger = size[0] >= content[0] and size[1] >= content[1]
    if len(pad) == 3 and pad[:2] == size and larger and not flips:
        return [Crop(0, 0, *content)]
    height, width = meta["ori_shape"][:2]
    factor = meta.get("scale_factor")
    raise ValueError(
        f"the network saw {size[1]} x {size[0]} pixels of a picture of {width} x {height}, which "
        f"scale_factor={factor} and pad_shape={pad or None} do not explain; {_INSTEAD}"
    )


def check_pipelines(config: Any) -> None:
    """Refuse test pipelines with a transform that no prediction can undo.

    Args:
        config: of mmengine's kind, with `test_pipeline` or `test_dataloader`; None for none.

    Raises:
        ValueError: naming the transform.
    """
    loader = (config or {}).get("test_dataloader") or {}
    pipelines = ((config or {}).get("test_pipeline"), (loader.get("dataset") or {}).get("pipeline"))
    for step in (step for pipeline in pipelines for step in pipeline or ()):
        kind = step.get("type")
        name = kind.__name__ if isinstance(kind, type) else str(kind).rpartition(".")[2]
        if name in NOT_UNDONE:
            raise ValueError(
                f"the test pipeline's {name} {NOT_UNDONE[name]}, which no prediction can undo; "
                "leave it out"
            )


def _resized(meta: dict) -> Size | None:
    """Find the size that the last resize gave the picture; None if that is not known."""
    if meta.get("ori_shape") is None:
        return None
    factor = meta.get("scale_factor", 1.0)
    across, down = (factor, factor) if isinstance(factor, int | float) else tuple(factor)[:2]
    height, width = meta["ori_shape"][:2]
    return round(height * down), round(width * across)


def _flips(meta: dict) -> list[Step]:
    if not meta.get("flip"):
        return []
    direction = str(meta.get("flip_direction"))
    if direction == "diagonal":
        return [Flip("horizontal"), Flip("vertical")]
    return [Flip(direction)]
