"""A module as a `torch.export` program, for pictures of any size or of one."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from mmseg_pointrend.compat.symbolic_sizes import symbolic_sizes
from mmseg_pointrend.export.labels import LabelGraph

#: Axes of pictures that need not be fixed.
AXES = {"batch": 0, "height": 2, "width": 3}
#: What is traced where nothing is fixed: two pictures, of odd sides. What happens to be 1, or equal
#: as a rendered grid and a picture may be, would be taken to be so always.
_BATCH, _SIZE = 2, (205, 275)


@dataclass(frozen=True)
class Sizes:
    """How many pictures a graph takes at a time, and of which size; None: any.

    Attributes:
        batch: number of pictures.
        size: (height, width), pixels.

    Raises:
        ValueError: for a number below 1.
    """

    batch: int | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch must be >= 1, got {self.batch}")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ValueError(f"size must be a height and a width >= 1, got {self.size}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W) of the pictures that are traced."""
        return (self.batch or _BATCH, *(self.size or _SIZE))

    @property
    def open_axes(self) -> dict[str, int]:
        """The axes that are not fixed, by name."""
        fixed = {"batch": self.batch, "height": self.size, "width": self.size}
        return {name: axis for name, axis in AXES.items() if fixed[name] is None}

    def fit(self, shapes: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """Put what is fixed into (N, H, W) shapes; each that results once."""
        size = self.size or ()
        return list(dict.fromkeys((self.batch or n, *(size or (h, w))) for n, h, w in shapes))


def trace(graph: LabelGraph, sizes: Sizes) -> ExportedProgram:
    """Trace a graph.

    Args:
        graph: on the device that it will run on.
        sizes: what is fixed of the pictures.

    Raises:
        ValueError: if the network does not let sizes open that are not fixed.
    """
    dynamic = dict.fromkeys(sizes.open_axes.values(), Dim.DYNAMIC)
    pictures = example(graph, sizes.shape)
    try:
        with torch.no_grad(), symbolic_sizes(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(graph, (pictures,), dynamic_shapes=(dynamic,))
    except Exception as error:  # what a tracer meets in a network is of many types
        if not sizes.open_axes:
            raise
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        fixed = " ".join(f"--{name} ..." for name in to_fix(sizes, first))
        raise ValueError(
            f"{type(graph.backbone).__name__} with {type(graph.head).__name__} cannot be traced "
            f"for pictures of any number and size; fix what it needs ({fixed}). torch says: {first}"
        ) from error


def example(graph: LabelGraph, shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    """Make up pictures: blots of colour with a little noise.

    Args:
        graph: which takes them.
        shape: (N, H, W).
        seed: of the random numbers.

    Returns:
        (N, C, H, W).
    """
    number, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    blots = torch.rand(
        number, graph.channels, height // 24 + 2, width // 24 + 2, generator=generator
    )
    found = torch.nn.functional.interpolate(blots, size=(height, width), mode="bicubic")
    found = (found + 0.1 * torch.rand(found.shape, generator=generator)).clamp(0, 1)
    pictures = graph.settings.pictures
    found = 4 * found - 2 if pictures.normalized else (255 * found).round()
    device = next(graph.parameters()).device
    return found.to(device, pictures.dtype)


def to_fix(sizes: Sizes, said: str) -> list[str]:
    """Tell which settings of `Sizes` to fix, by what torch said when it could not trace.

    Args:
        sizes: what was fixed.
        said: the message; it may name the axes that a network has taken for constants.

    Example:
        >>> to_fix(Sizes(), "Constraints violated (L['pictures'].size()[0])!")
        ['batch']
    """
    left = [name for name in ("batch", "size") if getattr(sizes, name) is None]
    axes = {int(axis) for axis in re.findall(r"\['pictures'\]\.size\(\)\[(\d)\]", said)}
    named = [name for name in left if axes & {"batch": {0}, "size": {2, 3}}[name]]
    return named or left
