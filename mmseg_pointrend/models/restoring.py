"""From the network's grid back to the pixels of the original picture."""

from torch import Tensor

from mmseg_pointrend.core import Crop, Resize, Step, warp_map, warp_size
from mmseg_pointrend.models.unrecorded import undo_by_standard_meta

Size = tuple[int, int]


def restoring_warp(
    meta: dict,
    input_size: Size,
    grid: Size | None = None,
    align_corners: bool = False,
) -> list[Step]:
    """Say how a predicted grid becomes the picture: cut padding off, flip back, resize.

    A grid that is not the network's input over again is resized to it first. One that is a whole
    number of times as fine, as further subdivision steps make it, keeps its pixels. Of resizes that
    follow each other the last one counts, as in mmsegmentation.

    Args:
        meta: what the pipeline recorded: `undo` and `undo_from` (`datasets.TracedPipeline`) or,
            without them, `flip`, `flip_direction`, `img_shape`, `pad_shape` and `scale_factor`;
            `ori_shape`; the preprocessor's `img_padding_size` or `padding_size` (left, right, top,
            bottom). Each may be missing.
        input_size: (H, W) of the network's input.
        grid: (H, W) of the prediction; the input's by default.
        align_corners: how to resize, as the model's head does.

    Returns:
        steps that end at `ori_shape`, or where it is missing at the size of the picture.

    Raises:
        ValueError: for a flip direction that there is none of, or sizes that contradict each other.
    """
    grid = input_size if grid is None else grid
    warp: list[Step] = []
    if any(fine % side for fine, side in zip(grid, input_size, strict=True)):
        warp.append(Resize(*input_size))
        grid = input_size
    finer = grid[0] // input_size[0], grid[1] // input_size[1]
    cut = _cut_padding(meta, input_size)
    size = (cut.height, cut.width)
    undo = _undo(meta, size)
    warp += (_refine(step, finer) for step in [cut, *undo])
    warp.append(Resize(*meta.get("ori_shape", warp_size(size, undo))[:2]))
    return _without_idle_resizes(warp, align_corners)


def record(meta: dict, input_size: Size) -> dict:
    """Add to a meta the record that its pipeline has not kept, so that `ori_shape` can be changed.

    Args:
        meta: see `restoring_warp`.
        input_size: (H, W) of the network's input.

    Raises:
        ValueError: see `restoring_warp`.
    """
    cut = _cut_padding(meta, input_size)
    size = (cut.height, cut.width)
    return dict(meta, undo=_undo(meta, size), undo_from=size)


def restore(logits: Tensor, meta: dict, align_corners: bool = False) -> Tensor:
    """Bring (1, K, H, W) logits at the network's input back to the original picture.

    Args:
        logits: labels, too, where nothing has to be resized.
        meta: see `restoring_warp`.
        align_corners: how to resize, as the model's head does.

    Returns:
        (1, K, *ori_shape).
    """
    size = (logits.shape[2], logits.shape[3])
    return warp_map(logits, restoring_warp(meta, size, align_corners=align_corners))


def _cut_padding(meta: dict, input_size: Size) -> Crop:
    """Cut off what the preprocessor has added."""
    left, right, top, bottom = meta.get("img_padding_size", meta.get("padding_size", (0,) * 4))
    return Crop(top, left, input_size[0] - top - bottom, input_size[1] - left - right)


def _undo(meta: dict, size: Size) -> list[Step]:
    """List what undoes a pipeline whose result has a size, as far as it is not a last resize."""
    if "undo" not in meta:
        return undo_by_standard_meta(meta, size)
    if tuple(meta["undo_from"]) != size:
        raise ValueError(
            f"the pipeline gave {_show(meta['undo_from'])} pixels, but the network saw "
            f"{_show(size)}; model.data_preprocessor must record how it pads (img_padding_size)"
        )
    return list(meta["undo"])


def _refine(step: Step, factors: Size) -> Step:
    """The step for a grid that is some times as fine."""
    down, across = factors
    if isinstance(step, Crop):
        return Crop(down * step.top, across * step.left, down * step.height, across * step.width)
    return Resize(down * step.height, across * step.width) if isinstance(step, Resize) else step


def _without_idle_resizes(warp: list[Step], align_corners: bool) -> list[Step]:
    """Leave resizes out that another one follows before anything is cut."""
    kept: list[Step] = []
    followed = False
    for step in reversed(warp):
        if isinstance(step, Resize):
            if followed:
                continue
            step, followed = Resize(step.height, step.width, align_corners), True
        elif isinstance(step, Crop):
            followed = False
        kept.append(step)
    return kept[::-1]


def _show(size: Size) -> str:
    return f"{size[1]} x {size[0]}"
