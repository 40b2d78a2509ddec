"""Points on the image plane: where they lie, and what feature and label maps hold there."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pointrend.core.shapes import check_same_first, check_shape


def point_sample(features: Tensor, points: Tensor) -> Tensor:
    """Read feature maps at real-valued points by bilinear interpolation (paper, sec. 3.2).

    Outside the outermost pixel centres the map is taken to be surrounded by zeros, as in detectron2
    and mmcv, whose published weights were trained that way. Half-precision maps are read in
    float32: a coordinate in half precision is off by whole pixels on a large map.

    Under `torch.use_deterministic_algorithms`, in training on a GPU, the four pixels around a point
    are indexed one after the other: for `grid_sample` torch has no backward pass in a fixed order
    there, and refuses.

    Args:
        features: (N, C, h, w), floating point.
        points: (N, P, 2), (x, y) in [0, 1].

    Returns:
        (N, C, P) in the wider of the two dtypes, at least float32.

    Raises:
        ValueError: for shapes other than these.

    Example:
        >>> features = torch.tensor([[[[0.0, 4.0]]]])  # pixel centres at x = 0.25 and 0.75
        >>> point_sample(features, torch.tensor([[[0.25, 0.5], [0.5, 0.5]]]))
        tensor([[[0., 2.]]])
    """
    return sample_maps([features], points)[0]


def sample_maps(maps: Sequence[Tensor], points: Tensor) -> list[Tensor]:
    """Read several maps at the same points, each as `point_sample` does.

    Args:
        maps: each (N, C_i, h_i, w_i), floating point.
        points: (N, P, 2), (x, y) in [0, 1].

    Returns:
        each (N, C_i, P).

    Raises:
        ValueError: for shapes other than these.
    """
    grids: dict[torch.dtype, Tensor] = {}
    return [_sample(features, points, grids) for features in maps]


def _sample(features: Tensor, points: Tensor, grids: dict[torch.dtype, Tensor]) -> Tensor:
    """Read a map; `grids` are the points as `grid_sample` takes them, made once for all maps."""
    _check_map_and_points("features", features, "(N, C, h, w)", points)
    dtype = torch.promote_types(points.dtype, torch.promote_types(features.dtype, torch.float32))
    points = points.to(dtype)
    if reads_rows(features):
        number = torch.arange(len(features), device=features.device)
        return sample_rows(features, number, points)
    features = features.to(dtype)
    if _must_keep_order(features):
        return _sample_by_index(features, points)
    if dtype not in grids:
        # 2 points - 1, in one operation.
        grids[dtype] = torch.rsub(points, -1, alpha=-2).unsqueeze(2)
    sampled = F.grid_sample(
        features, grids[dtype], mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return sampled.squeeze(3)


def reads_rows(features: Tensor) -> bool:
    """Whether `sample_rows` is the faster way to read (N, C, h, w) maps.

    With all channels of a pixel side by side, a CPU reads them at once.
    """
    return (
        features.device.type == "cpu"
        and not features.is_contiguous()
        and features.is_contiguous(memory_format=torch.channels_last)
    )


def sample_rows(features: Tensor, number: Tensor, points: Tensor) -> Tensor:
    """Read maps at points as `point_sample` does, all channels of a pixel at once.

    Args:
        features: (N, C, h, w), floating point, best in the order of memory of `channels_last`.
        number: (R,), int64, the map that each row of points reads, in [0, N).
        points: (R, P, 2), in the dtype of the result: that of `features`, or a wider one.

    Returns:
        (R, C, P), of which the channels of a point lie side by side.
    """
    (height, width), channels = features.shape[2:], features.shape[1]
    index, shares = _taps(points, (height, width))
    index += number[:, None, None] * (height * width)
    index, shares = index.flatten(0, 1), shares.flatten(0, 1)
    rows = features.permute(0, 2, 3, 1).reshape(-1, channels)
    if rows.dtype != points.dtype and not rows.requires_grad and index.numel() < len(rows):
        # Only what is read is copied in the wider type; what follows is the same to the bit.
        rows = rows[index.flatten()]
        index = torch.arange(index.numel(), device=index.device).view_as(index)
    found = F.embedding_bag(index, rows.to(points.dtype), mode="sum", per_sample_weights=shares)
    return found.view(*points.shape[:2], channels).transpose(1, 2)


def mask_sample(masks: Tensor, number: Tensor, points: Tensor) -> Tensor:
    """Read masks at real-valued points by bilinear interpolation.

    The result is that of `point_sample`, but no mask is copied in floating point, nor for every
    region that reads it.

    Args:
        masks: (M, H, W), any dtype, of 0 and 1.
        number: (R,), int64, the mask that each region reads, in [0, M).
        points: (R, P, 2), (x, y) in [0, 1] of the masks.

    Returns:
        (R, P), in [0, 1], in the dtype of `points`.

    Raises:
        ValueError: for shapes other than these.

    Example:
        >>> masks = torch.tensor([[[0, 1]]], dtype=torch.uint8)
        >>> mask_sample(masks, torch.tensor([0]), torch.tensor([[[0.5, 0.5], [0.75, 0.5]]]))
        tensor([[0.5000, 1.0000]])
    """
    check_shape("masks", masks, "(M, H, W)")
    check_shape("points", points, "(R, P, 2)")
    check_same_first("points", points, "number", number)
    height, width = masks.shape[1:]
    index, shares = _taps(points, (height, width))
    index += number[:, None, None] * (height * width)
    return (masks.flatten().take(index).to(points.dtype) * shares).sum(2)


def label_sample(labels: Tensor, points: Tensor) -> Tensor:
    """Read label maps at points: the label of the pixel that covers each point.

    Indexes the integer map itself, so no floating-point copy of a full-resolution map is made.

    Args:
        labels: (N, H, W), any integer dtype.
        points: (N, P, 2), (x, y) in [0, 1].

    Returns:
        (N, P) in the dtype of `labels`.

    Raises:
        ValueError: for shapes other than these.

    Example:
        >>> label_sample(torch.tensor([[[3, 7]]]), torch.tensor([[[0.4, 0.5], [0.6, 0.5]]]))
        tensor([[3, 7]])
    """
    _check_map_and_points("labels", labels, "(N, H, W)", points)
    height, width = labels.shape[1:]
    # A point on the edge between two pixels goes to the even one, as in torch's nearest
    # grid_sample.
    x = (points[..., 0] * width - 0.5).round().long().clamp(0, width - 1)
    y = (points[..., 1] * height - 0.5).round().long().clamp(0, height - 1)
    return labels.flatten(1).gather(1, y * width + x)


def pixel_centers(indices: Tensor, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Turn flat pixel indices of a grid into the points at the pixels' centres.

    Args:
        indices: (N, P), y * W + x.
        size: (H, W) of the grid.
        dtype: floating-point dtype of the result.

    Returns:
        (N, P, 2), (x, y) in [0, 1].

    Raises:
        ValueError: for indices of another shape.

    Example:
        >>> pixel_centers(torch.tensor([[0, 3]]), (1, 4), torch.float32)
        tensor([[[0.1250, 0.5000],
                 [0.8750, 0.5000]]])
    """
    check_shape("indices", indices, "(N, P)")
    height, width = size
    y = indices.div(width, rounding_mode="floor")
    # Not by %, which ONNX has not for a width that is not known.
    x = torch.sub(indices, y, alpha=width)
    if dtype != torch.get_default_dtype():
        # Otherwise the sums below are of that type by themselves.
        x, y = x.to(dtype), y.to(dtype)
    return torch.stack([(x + 0.5) / width, (y + 0.5) / height], dim=-1)


def regular_grid(
    num_points: int,
    size: tuple[int, int],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Lay points on a regular grid over a map (paper, Fig. 5), exactly as many as asked for.

    The map is cut into R = round(sqrt(N h / w)) rows of equal height, at least 1 and at most N: the
    points are then about as far apart downwards as to the right. The N points are dealt out evenly
    to the rows: the first r rows hold floor(r N / R) of them, so a row has floor(N / R) or one
    more. The points of a row cut it into cells of equal width, and each lies at its cell's centre.

    Where R divides N, as 14 divides 14^2 on a square map, all rows are alike. Elsewhere the rows
    are; the columns of rows of different length are not in line.

    Args:
        num_points: N, >= 1.
        size: (h, w) of the map, >= 1, of which only the proportion counts.
        dtype: floating-point dtype of the result.
        device: of the result.

    Returns:
        (num_points, 2), (x, y) in [0, 1), row by row from the top, in a row from the left.

    Raises:
        ValueError: for no points, or an empty map.

    Example:
        >>> regular_grid(2, (1, 2))
        tensor([[0.2500, 0.5000],
                [0.7500, 0.5000]])
    """
    height, width = size
    if min(num_points, height, width) < 1:
        raise ValueError(
            f"num_points (N) and the sides of the map must be >= 1, got {num_points} and {size}"
        )
    rows = min(max(round(math.sqrt(num_points * height / width)), 1), num_points)
    index = torch.arange(num_points, device=device)
    # The row r in which floor(r N / R) <= index < floor((r + 1) N / R).
    row = ((index + 1) * rows - 1).div(num_points, rounding_mode="floor")
    first = (row * num_points).div(rows, rounding_mode="floor")
    beyond = ((row + 1) * num_points).div(rows, rounding_mode="floor")
    x = ((index - first).to(dtype) + 0.5) / (beyond - first)
    y = (row.to(dtype) + 0.5) / rows
    return torch.stack([x, y], dim=-1)


def _must_keep_order(features: Tensor) -> bool:
    """Whether there will be a backward pass that must add gradients in a fixed order."""
    return (
        features.is_cuda
        and features.requires_grad
        and torch.is_grad_enabled()
        and torch.are_deterministic_algorithms_enabled()
    )


def _sample_by_index(features: Tensor, points: Tensor) -> Tensor:
    """Read (N, C, h, w) maps at (N, P, 2) points as `grid_sample` does, by indices: (N, C, P)."""
    index, shares = _taps(points, (features.shape[2], features.shape[3]))
    pixels = features.flatten(2).transpose(1, 2)
    image = torch.arange(len(features), device=features.device)[:, None]
    sampled = pixels.new_zeros(*points.shape[:2], pixels.shape[2])
    for tap in range(4):
        sampled = sampled + pixels[image, index[..., tap]] * shares[..., tap, None]
    return sampled.transpose(1, 2)


def _taps(points: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Find the four pixels around points, and what each counts.

    Args:
        points: (N, P, 2).
        size: (h, w) of the map.

    Returns:
        (N, P, 4) flat indices y * w + x, and (N, P, 4) shares, 0 for pixels outside of the map,
        whose index is that of some pixel.
    """
    rows, row_shares = _axis_taps(points[..., 1], size[0])
    columns, column_shares = _axis_taps(points[..., 0], size[1])
    index = (rows * size[1])[:, None] + columns
    shares = row_shares[:, None] * column_shares
    return index.flatten(0, 1).movedim(0, 2), shares.flatten(0, 1).movedim(0, 2)


def _axis_taps(coordinates: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Find the two pixels around (N, P) coordinates of one axis: (2, N, P), and what they count."""
    position = coordinates * size - 0.5
    low = position.floor()
    pixels = torch.stack([low, low + 1])
    share = position - low
    there = pixels.clamp(0, size - 1)
    # Of a coordinate that is NaN the share is NaN, too.
    shares = torch.stack([1 - share, share]) * (there == pixels)
    return there.nan_to_num(0.0).long(), shares


def _check_map_and_points(name: str, values: Tensor, layout: str, points: Tensor) -> None:
    check_shape(name, values, layout)
    check_shape("points", points, "(N, P, 2)")
    check_same_first("points", points, name, values)
