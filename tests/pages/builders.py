"""A rendering that is made up, small enough to be worked out by hand."""

import numpy as np

from mmseg_pointrend.inference.predictor import RenderingStep
from mmseg_pointrend.pages import RenderedPicture

CLASSES = ("road", "pole & wire", "sky")
PALETTE = ((128, 64, 128), (250, 170, 30), (70, 130, 180))
#: 4 rows of 6 pixels; 255 is not known.
TRUTH = np.array(
    [[2, 2, 2, 2, 1, 2], [2, 2, 2, 2, 1, 2], [0, 0, 0, 0, 1, 0], [0, 0, 0, 255, 255, 0]], np.uint8
)


def step(labels: np.ndarray, points: list) -> RenderingStep:
    labels = np.asarray(labels, np.uint8)
    sure = np.stack([np.full(labels.shape, 200), np.full(labels.shape, 50)]).astype(np.uint8)
    found = np.array(points, np.float32).reshape(-1, 2)
    return RenderingStep(labels, (labels + 1) % 3, sure, found)


def rendering(name: str = "street", with_truth: bool = True) -> RenderedPicture:
    coarse = np.repeat([[2], [2], [0], [0]], 6, axis=1)
    first, second = coarse.copy(), coarse.copy()
    first[0, 4], first[1, 3], first[3, 3] = 1, 1, 1  # right, wrong, unknown
    second[:3, 4] = 1
    second[3, 3] = 1
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    steps = [
        step(coarse, []),
        step(first, [[4.5, 0.5], [3.5, 1.5], [3.5, 3.5]]),
        step(second, [[4.5, 1.5], [3.5, 1.5]]),
    ]
    return RenderedPicture(
        name, pixels, steps, CLASSES, PALETTE, TRUTH if with_truth else None, 255
    )
