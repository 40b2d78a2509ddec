"""How many points a subdivision step may predict (N of the paper)."""

import math
from numbers import Integral

#: What `num_points` may be, see `resolve_num_points`.
NumPoints = int | float | str

#: The rule of the paper's sec. 5: as many points as the picture's map of stride 16 has pixels.
STRIDE_16 = "stride-16"


def resolve_num_points(num_points: NumPoints, size: tuple[int, int]) -> int:
    """Turn a budget into a number of points.

    Args:
        num_points: N itself; or "stride-16", the number of pixels of the last grid's map of stride
            16 (8192 for 1024x2048); or a fraction of the last grid's pixels, in (0, 1].
        size: (H, W) of the last grid.

    Raises:
        ValueError: for anything else.
    """
    check_num_points(num_points)
    height, width = size
    if num_points == STRIDE_16:
        return max(1, math.ceil(height / 16) * math.ceil(width / 16))
    if isinstance(num_points, Integral):
        return int(num_points)
    return max(1, round(num_points * height * width))


def check_num_points(num_points: NumPoints) -> None:
    """Raise ValueError unless `resolve_num_points` takes it."""
    if isinstance(num_points, Integral) and not isinstance(num_points, bool):
        valid = num_points >= 1
    elif isinstance(num_points, float):
        valid = 0 < num_points <= 1
    else:
        valid = num_points == STRIDE_16
    if not valid:
        raise ValueError(
            "num_points (N) must be an integer >= 1, a fraction of the pixels in (0.0, 1.0] or "
            f"{STRIDE_16!r}, got {num_points!r}"
        )
