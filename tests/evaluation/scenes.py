"""Label maps, predictions and slow counts that the tests of several metrics share."""

import torch
from torch import Tensor

from tests.evaluation.functional.test_boundary import inner_boundary_slowly, trimap_slowly

CLASSES = ("a", "b", "c", "d", "never")


def blobs(seed: int, void: bool = True, size: tuple[int, int] = (25, 37)) -> Tensor:
    """(1, H, W) labels 0 to 3 in blobs, void above."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 4, 5, 7, generator=generator)
    labels = torch.nn.functional.interpolate(noise, size=size, mode="bilinear").argmax(1)
    labels[:, : 4 * void] = 255
    return labels


def disturbed(truth: Tensor, seed: int, shift: int) -> Tensor:
    """Predict what lies some pixels beside, some blocks wrongly, and something where it is void."""
    predicted = blobs(seed, void=False, size=tuple(truth.shape[1:]))
    kept = blobs(seed + 100, void=False, size=tuple(truth.shape[1:])) > 0
    moved = truth.roll(shift, 2)
    return torch.where(kept & (moved != 255), moved, predicted)


def sample(truth: Tensor, refined: Tensor, coarse: Tensor | None = None) -> dict:
    """A data sample as an evaluator hands it over."""
    maps = dict(gt_sem_seg=truth, pred_sem_seg=refined, coarse_sem_seg=coarse)
    return {name: dict(data=labels) for name, labels in maps.items() if labels is not None}


def samples(count: int, shift: int = 1) -> list[dict]:
    """Images of different sizes, predicted finely and coarsely."""
    truths = [blobs(seed, size=(25 + seed, 37 - 2 * seed)) for seed in range(count)]
    return [
        sample(truth, disturbed(truth, seed + 10, shift), disturbed(truth, seed + 20, 3 * shift))
        for seed, truth in enumerate(truths)
    ]


def iou_slowly(items: list[dict], field: str, kind: str, reach: int = 0) -> list[float]:
    """IoU of each class that occurs, percent, by sets of the pixels of all images.

    Args:
        items: the samples.
        field: the prediction.
        kind: "whole", "trimap" or "boundary".
        reach: the trimap's width, or the distance from the contour.
    """
    found_of = {label: set() for label in range(4)}
    true_of = {label: set() for label in range(4)}
    for number, item in enumerate(items):
        true, found = item["gt_sem_seg"]["data"][0], item[field]["data"][0].clone()
        found[true == 255] = 255
        if kind == "boundary":
            regions = [inner_boundary_slowly(labels, reach, 255) for labels in (true, found)]
        else:
            regions = [trimap_slowly(true, reach) if kind == "trimap" else true != 255] * 2
        for masks, labels, region in zip((true_of, found_of), (true, found), regions, strict=True):
            for y, x in region.nonzero().tolist():
                masks[labels[y, x].item()].add((number, y, x))
    return [
        100 * len(found_of[label] & true_of[label]) / len(found_of[label] | true_of[label])
        for label in range(4)
        if found_of[label] | true_of[label]
    ]
