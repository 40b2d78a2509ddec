"""Modules of mmsegmentation that take the sizes of a traced picture for numbers.

Upstream: mmsegmentation 1.2.2. Its `Upsample` multiplies sizes by a factor and makes them integers,
which in a graph fixes the size of the picture that was traced. It can go when mmsegmentation's
hands the factor on, or rounds in a way that a tracer follows.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor


@contextmanager
def symbolic_sizes() -> Iterator[None]:
    """Let those modules, within this block, give graphs that hold for pictures of any size."""
    from mmseg.models.utils import Upsample, resize

    theirs = Upsample.forward

    def forward(self: Upsample, x: Tensor) -> Tensor:
        factor = self.scale_factor
        if self.size or not isinstance(factor, float) or not factor.is_integer():
            return theirs(self, x)
        size = (x.shape[2] * int(factor), x.shape[3] * int(factor))
        return resize(x, size, None, self.mode, self.align_corners)

    Upsample.forward = forward
    try:
        yield
    finally:
        Upsample.forward = theirs
