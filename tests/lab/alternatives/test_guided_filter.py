"""The guided filter against a ridge regression in each window."""

import numpy as np
import pytest
import torch

from mmseg_pointrend.lab.alternatives.guided_filter import (
    box_mean,
    guided_filter,
    guided_upsampling,
)


def maps(height: int, width: int, channels: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height)
    guide = torch.rand(2, 3, height, width, generator=generator)
    return guide, torch.rand(2, channels, height, width, generator=generator)


def windows(height: int, width: int, radius: int) -> dict[tuple[int, int], tuple[slice, slice]]:
    """The window of each pixel, as far as it lies in the map."""
    return {
        (y, x): (
            slice(max(0, y - radius), y + radius + 1),
            slice(max(0, x - radius), x + radius + 1),
        )
        for y in range(height)
        for x in range(width)
    }


@pytest.mark.parametrize("radius", [0, 1, 3, 7, 12])
def test_box_means(radius: int) -> None:
    _, values = maps(7, 10)
    found = box_mean(values, radius)
    for (y, x), (rows, columns) in windows(7, 10, radius).items():
        expected = values[:, :, rows, columns].mean((2, 3))
        torch.testing.assert_close(found[:, :, y, x], expected)


def regress(guide: np.ndarray, values: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Eq. 15 in each window by least squares, and the mean of all windows of a pixel; one map."""
    height, width = values.shape
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for rows, columns in windows(height, width, radius).values():
        colors = guide[:, rows, columns].reshape(3, -1).T
        design = np.hstack([colors, np.ones((len(colors), 1))])
        # The penalty is paid once for each pixel of the window, and not by the offset.
        penalty = np.sqrt(len(colors) * epsilon) * np.eye(4)[:3]
        target = np.concatenate([values[rows, columns].ravel(), np.zeros(3)])
        fitted = np.linalg.lstsq(np.vstack([design, penalty]), target, rcond=None)[0]
        inside = (design @ fitted).reshape(values[rows, columns].shape)
        total[rows, columns] += inside
        count[rows, columns] += 1
    return total / count


@pytest.mark.parametrize(("radius", "epsilon"), [(1, 1e-4), (2, 1e-2)])
def test_it_is_a_regression_in_each_window(radius: int, epsilon: float) -> None:
    guide, values = maps(9, 11)
    found = guided_filter(guide, values, radius, epsilon)
    for number in range(2):
        for channel in range(2):
            expected = regress(
                guide[number].double().numpy(), values[number, channel].double().numpy(),
                radius, epsilon,
            )  # fmt: skip
            np.testing.assert_allclose(found[number, channel], expected, atol=2e-4)


def test_flat_and_grey_pictures_are_no_trouble() -> None:
    """Colours on a line, or all alike: the covariance has no inverse without epsilon."""
    guide, values = maps(9, 11)
    grey = guide[:, :1].expand_as(guide)
    assert guided_filter(grey, values, 2, 1e-4).isfinite().all()
    flat = guided_filter(torch.full_like(guide, 0.3), values, 2, 1e-4)
    torch.testing.assert_close(flat, box_mean(box_mean(values, 2), 2), atol=1e-4, rtol=0)


def test_upsampling_puts_the_large_picture_in() -> None:
    """What is linear in the colours of the small grid is so in the large picture's."""
    generator = torch.Generator().manual_seed(5)
    guide = torch.rand(1, 3, 24, 36, generator=generator)
    small = torch.nn.functional.adaptive_avg_pool2d(guide, (8, 12))
    mix = torch.tensor([0.5, -0.3, 0.2])[None, :, None, None]
    found = guided_upsampling(guide, (small * mix).sum(1, keepdim=True) + 0.1, 2, 1e-6)
    expected = (guide * mix).sum(1, keepdim=True) + 0.1
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
    guide, values = maps(9, 11)
    same = guided_upsampling(guide, values, 2, 1e-3)
    torch.testing.assert_close(same, guided_filter(guide, values, 2, 1e-3))


def test_what_does_not_fit_is_named() -> None:
    guide, values = maps(9, 11)
    with pytest.raises(ValueError, match=r"one size, got \(2, 3, 9, 11\) and \(2, 2, 9, 10\)"):
        guided_filter(guide, values[..., 1:], 2, 1e-3)
    with pytest.raises(ValueError, match=r"guide must be \(N, 3, H, W\), got \(2, 2, 9, 11\)"):
        guided_filter(values, values, 2, 1e-3)
    with pytest.raises(ValueError, match=r"radius must be >= 1 and epsilon > 0, got 0 and 0.1"):
        guided_filter(guide, values, 0, 0.1)
