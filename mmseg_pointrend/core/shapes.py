"""Wrong shapes and numbers, answered with a sentence."""

from numbers import Integral

from torch import Tensor


def is_integer(number: object) -> bool:
    """Whether something is an integer, numpy's included; truth values are none."""
    return isinstance(number, Integral) and not isinstance(number, bool)


def check_shape(name: str, values: Tensor, layout: str) -> None:
    """Compare a tensor's number of dimensions, and those that the layout writes as numbers.

    Args:
        name: of the argument.
        values: the argument.
        layout: for instance "(N, P, 2)".

    Raises:
        ValueError: naming the argument, the layout and what was given.
    """
    sides = layout.strip("(,)").split(", ")
    fits = values.dim() == len(sides) and all(
        int(side) == found
        for side, found in zip(sides, values.shape, strict=True)
        if side.isdigit()
    )
    if not fits:
        raise ValueError(f"{name} must have shape {layout}, got {tuple(values.shape)}")


def check_same_first(name: str, values: Tensor, other_name: str, other: Tensor) -> None:
    """Raise ValueError unless two tensors have as many regions or images."""
    # Not by `len`, by which a tracer takes a batch to have always this size.
    if values.shape[0] != other.shape[0]:
        raise ValueError(
            f"{name} and {other_name} must have the same N, got {tuple(values.shape)} and "
            f"{tuple(other.shape)}"
        )


def check_size(name: str, size: tuple[int, int]) -> None:
    """Raise ValueError unless a size is two integers >= 1."""
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"{name} must be two integers >= 1, got {tuple(size)}")
