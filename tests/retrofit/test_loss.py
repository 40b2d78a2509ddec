"""The loss of points, against torch's on what is left when ignored points are taken out."""

import pytest
import torch
import torch.nn.functional as F

from mmseg_pointrend.retrofit.loss import point_loss


@pytest.fixture
def points() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    labels = torch.randint(4, (3, 17))
    labels[0, :9] = 255
    return torch.randn(3, 4, 17, dtype=torch.float32), labels


@pytest.mark.parametrize("weights", [None, [1.0, 0.0, 3.0, 0.5]])
def test_it_is_the_mean_over_known_points(points: tuple, weights: list | None) -> None:
    logits, labels = points
    known = labels != 255
    expected = F.cross_entropy(
        logits.movedim(1, 2)[known], labels[known], weight=weights and torch.tensor(weights)
    )
    assert torch.allclose(point_loss(logits, labels, weights), expected)


@pytest.mark.parametrize("weights", [None, [1.0, 4.0]])
def test_one_logit_is_a_sigmoid(points: tuple, weights: list | None) -> None:
    logits, labels = points[0][:, :1], points[1].clamp(max=1)
    of_points = torch.tensor(weights or [1.0, 1.0])[labels]
    losses = F.binary_cross_entropy_with_logits(logits[:, 0], labels.float(), reduction="none")
    expected = (losses * of_points).sum() / of_points.sum()
    assert torch.allclose(point_loss(logits, labels, weights), expected)


def test_another_ignored_label_may_be_a_class_number(points: tuple) -> None:
    logits, labels = points[0], points[1].clamp(max=3)
    known = labels != 2
    expected = F.cross_entropy(logits.movedim(1, 2)[known], labels[known])
    assert torch.allclose(point_loss(logits, labels, ignore_index=2), expected)


def test_without_known_points_it_is_zero_with_a_gradient(points: tuple) -> None:
    logits = points[0].requires_grad_()
    loss = point_loss(logits, torch.full((3, 17), 255))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().sum() == 0


def test_wrong_labels_and_weights_are_named(points: tuple) -> None:
    logits, labels = points
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 3\] or be ignore_index=0, got"):
        point_loss(logits, labels, ignore_index=0)
    with pytest.raises(ValueError, match="one weight for each of 4 classes, got 2"):
        point_loss(logits, labels, [1.0, 2.0])
