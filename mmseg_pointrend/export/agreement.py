"""How many labels of an exported model are not those of the model that it was made from."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pointrend.core import Resize
from mmseg_pointrend.export.labels import LabelGraph

#: Margins that differ by less, as a share of the largest logit, are equal: what the sums of a
#: network differ by when they are added up in another order.
ROUNDING = 1e-4


@dataclass(frozen=True)
class Agreement:
    """What came out of a comparison.

    Attributes:
        pictures: how many.
        sizes: of how many different sizes.
        pixels: of all of them.
        differing: pixels whose labels differ.
        unexplained: those of them where no two margins are equal but for rounding.
    """

    pictures: int = 0
    sizes: int = 0
    pixels: int = 0
    differing: int = 0
    unexplained: int = 0

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))

    def describe(self) -> str:
        """Say it in a line."""
        share = self.differing / max(1, self.pixels)
        text = f"{self.differing} of {self.pixels} labels differ ({share:.1e})"
        if self.differing:
            text += f", {self.differing - self.unexplained} of them where margins are equal"
        return f"{text}; {self.pictures} pictures of {self.sizes} sizes"


def compare(
    graph: LabelGraph, exported: Callable[[Tensor], tuple[Tensor, ...]], pictures: Tensor
) -> Agreement:
    """Compare labels with those of torch.

    Args:
        graph: what was exported.
        exported: pictures -> labels, and what else it gives.
        pictures: (N, C, H, W).
    """
    with torch.no_grad():
        (expected, *_), (found, *_) = graph(pictures), exported(pictures)
        differs = expected.cpu() != found.cpu()
        unexplained = 0
        if differs.any():
            unexplained = int((differs & ~undecided(graph, pictures).cpu()).sum())
    return Agreement(len(pictures), 1, differs.numel(), int(differs.sum()), unexplained)


def undecided(graph: LabelGraph, pictures: Tensor) -> Tensor:
    """Find pixels whose label rounding may decide.

    These are pixels with two classes of equal logits, and those near a place that a subdivision
    step may or may not have chosen, as its margin is that of the last one that was.

    Args:
        graph: a segmentor.
        pictures: (N, C, H, W).

    Returns:
        (N, H, W), bool.
    """
    logits = graph.logits(pictures)
    size = (logits.shape[2], logits.shape[3])
    limit = ROUNDING * float(logits.abs().max())
    found = _gap(logits, graph.threshold) <= limit
    if not graph.renders:
        return found
    head = graph.head
    coarse, steps = head.render_steps(graph.neck(graph.backbone(graph.preparation(pictures))))
    near = torch.zeros_like(coarse[:, :1])
    before = coarse
    for step in steps:
        side = (step.logits.shape[2], step.logits.shape[3])
        margins = head.margin(Resize(*side).apply(before))
        last = margins.flatten(1).gather(1, step.indices).amax(1)[:, None, None]
        edge = torch.minimum((margins - last).abs(), (margins - head.subdivision.max_margin).abs())
        tie = edge <= limit
        near = torch.maximum(F.interpolate(near, size=side), tie[:, None].to(near.dtype))
        # What the next step interpolates from.
        near = F.max_pool2d(near, 3, stride=1, padding=1)
        before = step.logits
    return found | (F.interpolate(near, size=size)[:, 0] > 0)


def _gap(logits: Tensor, threshold: float | None) -> Tensor:
    """Measure how far the best class is ahead."""
    if logits.shape[1] == 1:
        at = 0.5 if threshold is None else threshold
        return (logits[:, 0] - math.log(at / (1 - at))).abs()
    largest = logits.topk(2, dim=1).values
    return largest[:, 0] - largest[:, 1]


def _values(agreement: Agreement) -> tuple[int, ...]:
    return tuple(vars(agreement).values())
