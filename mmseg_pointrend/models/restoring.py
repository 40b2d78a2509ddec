"""From the network's grid back to the pixels of the original picture."""

from torch import Tensor

from mmseg_pointrend.core import Crop, Flip, Resize, Step, warp_map


def restoring_warp(
    meta: dict,
    input_size: tuple[int, int],
    grid: tuple[int, int] | None = None,
    align_corners: bool = False,
) -> list[Step]:
    """Say how a predicted grid becomes the picture: cut padding off, flip back, resize.

    A grid that is not the network's input over again is resized to it first. One that is a whole
    number of times as fine, as further subdivision steps make it, keeps its pixels.

    Args:
        meta: what the pipeline recorded: `img_padding_size` or `padding_size` (left, right, top,
            bottom), `flip`, `flip_direction`, `ori_shape`; each may be missing.
        input_size: (H, W) of the network's input.
        grid: (H, W) of the prediction; the input's by default.
        align_corners: how to resize, as the model's head does.

    Returns:
        steps that end at `ori_shape`, or where it is missing at the input's size without padding.

    Raises:
        ValueError: for a flip direction other than "horizontal" or "vertical".
    """
    grid = input_size if grid is None else grid
    warp: list[Step] = []
    if any(fine % side for fine, side in zip(grid, input_size, strict=True)):
        warp.append(Resize(input_size[0], input_size[1], align_corners))
        grid = input_size
    down, across = grid[0] // input_size[0], grid[1] // input_size[1]
    left, right, top, bottom = padding(meta)
    height, width = input_size[0] - top - bottom, input_size[1] - left - right
    warp.append(Crop(down * top, across * left, down * height, across * width))
    if meta.get("flip"):
        warp.append(Flip(str(meta.get("flip_direction"))))
    height, width = meta.get("ori_shape", (height, width))[:2]
    warp.append(Resize(height, width, align_corners))
    return warp


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


def padding(meta: dict) -> tuple[int, int, int, int]:
    """Pixels of padding left, right, top and bottom."""
    return tuple(meta.get("img_padding_size", meta.get("padding_size", (0,) * 4)))
