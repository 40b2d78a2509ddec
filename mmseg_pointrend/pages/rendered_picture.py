"""A picture, and what each step of its rendering has made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from mmseg_pointrend.evaluation.functional import (
    intersections_and_unions,
    iou_per_class,
    trimap,
)
from mmseg_pointrend.inference.predictor import RenderingStep

#: Half width of the band around boundaries in which labels are counted, pixels.
BAND = 2


class StepNumbers(NamedTuple):
    """What a step has done; of the coarse prediction, what it is.

    Attributes:
        points: that it predicted anew.
        changed: pixels that have another label than before it.
        corrected: those of them that were wrong and are right; None without a truth, as are the
            next four.
        spoiled: those that were right and are wrong.
        right: share of the known pixels that are right after it.
        right_near: the same within `BAND` pixels of a true boundary.
        mean_iou: over the classes that occur in this picture.
    """

    points: int
    changed: int
    corrected: int | None = None
    spoiled: int | None = None
    right: float | None = None
    right_near: float | None = None
    mean_iou: float | None = None


@dataclass(frozen=True)
class RenderedPicture:
    """A picture and its rendering.

    Attributes:
        name: of the picture, for titles.
        pixels: (H, W, 3), uint8, red first.
        steps: the coarse prediction, then each subdivision step; their maps are (H, W).
        classes: names.
        palette: the classes' colours, (R, G, B) from 0 to 255.
        truth: (H, W), class indices, if it is known.
        ignore_index: label of pixels whose truth is not known.

    Raises:
        ValueError: for maps of another size, no step at all, a class without a colour, or a truth
            that is no class.
    """

    name: str
    pixels: np.ndarray
    steps: Sequence[RenderingStep]
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    truth: np.ndarray | None = None
    ignore_index: int = 255

    def __post_init__(self) -> None:
        """Check."""
        if not self.steps:
            raise ValueError("steps must be the coarse prediction and each subdivision step")
        if len(self.classes) != len(self.palette):
            raise ValueError(
                f"classes and palette must be as many, got {len(self.classes)} names and "
                f"{len(self.palette)} colours"
            )
        maps = {"labels of a step": self.steps[0].labels}
        if self.truth is not None:
            maps["truth"] = self.truth
        for name, found in maps.items():
            if found.shape != self.pixels.shape[:2]:
                raise ValueError(
                    f"{name} of {self.name}: must have the picture's size "
                    f"{self.pixels.shape[:2]}, got {found.shape}"
                )
        if self.truth is not None:
            strange = self.truth[self.known & (self.truth >= len(self.classes))]
            if len(strange):
                raise ValueError(
                    f"truth of {self.name}: labels must be below {len(self.classes)}, or "
                    f"{self.ignore_index} for unknown, got {int(strange[0])}"
                )

    @property
    def known(self) -> np.ndarray:
        """(H, W), bool: where the truth is known; nowhere without one."""
        if self.truth is None:
            return np.zeros(self.pixels.shape[:2], bool)
        return self.truth != self.ignore_index

    def changes(self, step: int) -> np.ndarray:
        """Find the pixels whose label a step has changed: (H, W), bool."""
        if step == 0:
            return np.zeros(self.pixels.shape[:2], bool)
        return self.steps[step].labels != self.steps[step - 1].labels

    def numbers(self) -> list[StepNumbers]:
        """Count what each step has done."""
        found, band = [], None
        if self.truth is not None:
            band = trimap(torch.from_numpy(self.truth.astype(np.int64))[None], BAND,
                          self.ignore_index)[0].numpy()  # fmt: skip
        for number, step in enumerate(self.steps):
            changed = self.changes(number)
            counted = StepNumbers(len(step.points), int(changed.sum()))
            if self.truth is not None:
                counted = counted._replace(**self._against_truth(number, changed, band))
            found.append(counted)
        return found

    def _against_truth(self, number: int, changed: np.ndarray, band: np.ndarray) -> dict:
        labels, known = self.steps[number].labels, self.known
        right = (labels == self.truth) & known
        before = self.steps[max(0, number - 1)].labels == self.truth
        return dict(
            corrected=int((changed & right).sum()),
            spoiled=int((changed & before & known & ~right).sum()),
            right=_share(right, known),
            right_near=_share(right, band),
            mean_iou=self._mean_iou(labels),
        )

    def _mean_iou(self, labels: np.ndarray) -> float | None:
        maps = [torch.from_numpy(one.astype(np.int64)) for one in (labels, self.truth)]
        known = torch.from_numpy(self.known)
        counts = intersections_and_unions(*maps, len(self.classes), known, known)
        found = iou_per_class(counts)
        return None if found.isnan().all() else float(found.nanmean())


def _share(right: np.ndarray, among: np.ndarray) -> float | None:
    return float(right[among].mean()) if among.any() else None
