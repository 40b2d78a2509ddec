"""Sliding windows over an image of any size, of whose logits only a band of rows is ever held.

The image is predicted window by window, and where windows overlap their logits are averaged: what
mmsegmentation's `EncoderDecoder.slide_inference` does, which holds the logits of the whole image.
But windows come from the top downwards, so once one begins at row y nothing will be added to the
rows above y any more. Their labels can be decided and their logits forgotten.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmseg_pointrend.core.shapes import check_size


class Window(NamedTuple):
    """The pixels of rows [top, bottom) and columns [left, right)."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the window in a (..., H, W) map."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def list_windows(
    size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]
) -> list[Window]:
    """Lay windows over an image as mmsegmentation does.

    They begin at multiples of the stride. The last of a row or column is moved back so that it ends
    with the image; a window larger than the image is cut to the image.

    Args:
        size: (H, W) of the image, pixels.
        window: (height, width) of a window, pixels.
        stride: (down, right), from one window to the next, pixels.

    Returns:
        the windows row by row, each row from left to right.

    Raises:
        ValueError: for sizes below 1, or a stride that leaves pixels between windows.

    Example:
        >>> [window.left for window in list_windows((4, 10), window=(4, 4), stride=(4, 4))]
        [0, 4, 6]
    """
    for name, sides in (("window", window), ("stride", stride), ("size", size)):
        check_size(name, sides)
    if stride[0] > window[0] or stride[1] > window[1]:
        raise ValueError(
            f"stride must not exceed the window, {tuple(window)}, or pixels are left out; "
            f"got {tuple(stride)}"
        )
    tops, lefts = map(_starts, size, window, stride)
    return [
        Window(top, left, min(top + window[0], size[0]), min(left + window[1], size[1]))
        for top in tops
        for left in lefts
    ]


def slide_labels(
    windows: Iterable[Window],
    size: tuple[int, int],
    predict: Callable[[Window], Sequence[Tensor]],
    decide: Callable[[Tensor], Tensor],
) -> Iterator[tuple[slice, list[Tensor]]]:
    """Predict windows, average them where they overlap, and decide rows as they are finished.

    At any time the logits of one band of rows are held, a window high and the image wide.

    Args:
        windows: all of one size and none above the one before it, covering the image, as
            `list_windows` gives them.
        size: (H, W) of the image.
        predict: window -> one or several predictions of it, each (N, K, h, w) logits, (h, w) being
            the window's size.
        decide: (N, K, R, W) mean logits of R rows -> (N, R, W) labels; the logits are overwritten
            afterwards.

    Yields:
        rows of the image, from the top, and their labels by each of the predictions.

    Raises:
        ValueError: for logits whose size is not the window's.

    Example:
        >>> windows = list_windows((1, 3), window=(1, 2), stride=(1, 1))
        >>> predict = lambda window: [torch.full((1, 1, 1, 2), float(window.left))]
        >>> decide = lambda logits: (10 * logits[:, 0]).long()
        >>> list(slide_labels(windows, (1, 3), predict, decide))
        [(slice(0, 1, None), [tensor([[[ 0,  5, 10]]])])]
    """
    height, width = size
    bands: list[LogitBand] = []
    for window in windows:
        maps = predict(window)
        if not bands:
            bands = [LogitBand(window.bottom - window.top, width, logits) for logits in maps]
        if window.top > bands[0].top:
            yield _finish(bands, window.top, decide)
        for band, logits in zip(bands, maps, strict=True):
            band.add(window, logits)
    if bands:
        yield _finish(bands, height, decide)


def _finish(
    bands: list["LogitBand"], bottom: int, decide: Callable[[Tensor], Tensor]
) -> tuple[slice, list[Tensor]]:
    rows = slice(bands[0].top, bottom)
    return rows, [band.finish(bottom, decide) for band in bands]


class LogitBand:
    """The rows of an image that more windows may touch: the sum of logits, and how many there are.

    Args:
        rows: height of the band, at least that of a window.
        width: width of the image.
        like: (N, K, ...) logits whose N, K, device and dtype (at least float32) the band has.

    Attributes:
        top: row of the image with which the band begins.
        total: (N, K, rows, W), the sum of the windows' logits.
        count: (rows, W), the number of windows.
    """

    def __init__(self, rows: int, width: int, like: Tensor) -> None:
        dtype = torch.promote_types(like.dtype, torch.float32)
        self.top = 0
        self.total = like.new_zeros((*like.shape[:2], rows, width), dtype=dtype)
        self.count = like.new_zeros((rows, width), dtype=dtype)

    def add(self, window: Window, logits: Tensor) -> None:
        """Add a window's (N, K, h, w) logits.

        Raises:
            ValueError: for logits whose size is not the window's.
        """
        size = (window.bottom - window.top, window.right - window.left)
        if logits.shape[2:] != size:
            raise ValueError(
                f"logits must have the window's size {size}, got {tuple(logits.shape[2:])}"
            )
        rows, columns = window._replace(
            top=window.top - self.top, bottom=window.bottom - self.top
        ).slices
        self.total[..., rows, columns] += logits
        self.count[rows, columns] += 1

    def finish(self, bottom: int, decide: Callable[[Tensor], Tensor]) -> Tensor:
        """Decide the rows above `bottom` from the mean of their windows, and move the band there.

        Returns:
            what `decide` makes of their (N, K, R, W) mean logits.
        """
        done = bottom - self.top
        labels = decide(self.total[..., :done, :].div_(self.count[:done]))
        for held in (self.total, self.count):
            _shift_up(held, done)
        self.top = bottom
        return labels


def _starts(length: int, window: int, stride: int) -> list[int]:
    last = max(length - window, 0)
    return [min(start, last) for start in range(0, last + stride, stride)]


def _shift_up(held: Tensor, rows: int) -> None:
    """Move the rows of (..., R, W) up in place; zeros follow."""
    height = held.shape[-2]
    # Block by block: torch does not copy between memory that overlaps.
    for start in range(0, height - rows, rows):
        block = held[..., start + rows : start + 2 * rows, :]
        held[..., start : start + block.shape[-2], :] = block
    held[..., height - rows :, :] = 0
