"""The pretended device, and what is counted of it, against numbers worked out by hand."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_pointrend.lab.counting.device_counter import DeviceCounter, DeviceWork
from mmseg_pointrend.lab.counting.pretended_device import DEVICE, PretendedDevice, PretendedTensor


def counted(work: Callable[..., object], *given: Tensor) -> DeviceWork:
    counter = DeviceCounter()
    with counter:
        given = [tensor.to(DEVICE) for tensor in given]
        counter.reset()
        work(*given)
        return counter.take()


FLOATS, MASK, NUMBERS = torch.rand(6, 5), torch.rand(6, 5) > 0.5, torch.tensor([4, 1, 4])


@pytest.mark.parametrize(
    ("work", "launches", "syncs"),
    [
        # Views, memory, and nothing.
        (lambda x: x.t()[1:, None].expand(-1, 3, -1).unbind(0), 0, 0),
        (lambda x: x.reshape(30).view(5, 6).detach(), 0, 0),
        (lambda x: torch.empty_like(x).new_empty(3), 0, 0),
        (lambda x: x[:0] + 1, 0, 0),
        # Launches.
        (lambda x: x + 1, 1, 0),
        (lambda x: x.t().contiguous(), 1, 0),
        (lambda x: x.clone().add_(x).mul_(2), 3, 0),
        (lambda x: torch.zeros(3, device=x.device), 1, 0),
        (lambda x: x.topk(2), 1, 0),
        # Syncs.
        (lambda x: x.nonzero(), 1, 1),
        (lambda x: x[0, 0].item(), 1, 1),
        (lambda x: float(x.sum()), 2, 1),
        (lambda x: bool((x > 0).any()), 3, 1),
        (lambda x: x.cpu(), 1, 1),
        (lambda x: x[0].tolist(), 1, 1),
        (lambda x: x.to("cpu", non_blocking=True), 1, 0),
        (lambda x: torch.tensor([1.0, 2.0], device=x.device), 1, 1),
        (lambda x: x.new_tensor([1.0, 2.0]), 1, 1),
        (lambda x: x[[1, 2]], 1, 1),
        (lambda x: x[x > 0.5], 2, 1),
        (lambda x: x.masked_select(x > 0.5), 2, 1),
        (lambda x: x.unique(), 1, 1),
        (lambda x: torch.equal(x, x), 1, 1),
        (lambda x: x.long().flatten().bincount(), 2, 2),
        (lambda x: x.repeat_interleave(torch.arange(6, device=x.device), 0), 3, 1),
        (lambda x: x.repeat_interleave(2, 0, output_size=12), 1, 0),
    ],
)  # fmt: skip
def test_launches_and_syncs(work: Callable, launches: int, syncs: int) -> None:
    found = counted(work, FLOATS)
    assert (found.launches, found.syncs) == (launches, syncs)


@pytest.mark.parametrize(
    ("index", "value", "launches", "syncs"),
    [
        # Filled by a mask in one kernel; where values are put, its elements have to be listed.
        (MASK, 0.0, 1, 0),
        (MASK, torch.zeros(int(MASK.sum())), 1, 1),
        ((slice(None), 1), 0.0, 1, 0),
        # A number that is copied to the device.
        ((0, 1), 0.0, 1, 1),
        (NUMBERS, 0.0, 1, 1),
        (NUMBERS, torch.zeros(3, 5), 1, 0),
    ],
)
def test_puts(index: object, value: object, launches: int, syncs: int) -> None:
    expected = FLOATS.clone()
    expected[index] = value
    counter = DeviceCounter()
    with counter:
        x = FLOATS.clone().to(DEVICE)
        index, value = (v.to(DEVICE) if isinstance(v, Tensor) else v for v in (index, value))
        counter.reset()
        x[index] = value
        found = counter.take()
        assert torch.equal(x.cpu(), expected)
    assert (found.launches, found.syncs) == (launches, syncs)


def test_values_are_the_cpus() -> None:
    """Where torch makes a tensor from numbers, which the meta device would leave without values."""
    with PretendedDevice():
        x = FLOATS.to(DEVICE)
        for found, expected in (
            (x[[1, 2]], FLOATS[[1, 2]]),
            (x[range(3), NUMBERS.to(DEVICE)], FLOATS[range(3), NUMBERS]),
            (x.new_tensor([1, 2]), torch.tensor([1.0, 2.0])),
            (torch.tensor([3], device=DEVICE), torch.tensor([3])),
            (torch.as_tensor(FLOATS.numpy(), device=DEVICE), FLOATS),
            (torch.where(x > 0.5, 2.0, x), torch.where(FLOATS > 0.5, 2.0, FLOATS)),
        ):
            assert isinstance(found, PretendedTensor)
            assert torch.equal(found.cpu(), expected)
        assert x[1].tolist() == FLOATS[1].tolist()


@pytest.mark.parametrize(
    ("work", "read", "written"),
    [
        (lambda x, y, n: x + 1, 30, 30),
        (lambda x, y, n: x * x, 30, 30),
        (lambda x, y, n: x.add_(y[0]), 30 + 5, 30),
        (lambda x, y, n: x[1:3].sum(), 10, 1),
        # Repeated by a stride of 0.
        (lambda x, y, n: x[:1].expand(6, 5).clone(), 5, 30),
        (lambda x, y, n: x.copy_(y[:1]), 5, 30),
        (lambda x, y, n: x.zero_(), 0, 30),
        (lambda x, y, n: torch.add(x, 1, out=x[:]), 30, 30),
        # Three rows, and three numbers of eight bytes.
        (lambda x, y, n: x[n], 15 + 6, 15),
        (lambda x, y, n: x.index_select(0, n), 15 + 6, 15),
        (lambda x, y, n: x.index_fill_(0, n, 1.0), 6, 15),
        (lambda x, y, n: x.index_add_(0, n, y[:3]), 15 + 6 + 15, 15),
        (lambda x, y, n: x.scatter_(0, n[:, None], 1.0), 6, 3),
        (lambda x, y, n: x.scatter(0, n[:, None], 1.0), 6 + 30, 3 + 30),
        (lambda x, y, n: x.index_put_((n,), y[:3]), 15 + 6, 15),
        (lambda x, y, n: x.index_put_((n,), y[:3], accumulate=True), 15 + 6 + 15, 15),
        # Four pixels for a result, at most the whole map of 30.
        (lambda x, y, n: F.interpolate(x[None, None], size=(1, 2), mode="bilinear"), 8, 2),
        (lambda x, y, n: F.interpolate(x[None, None], scale_factor=2, mode="bilinear"), 30, 120),
    ],
)
def test_bytes(work: Callable, read: int, written: int) -> None:
    found = counted(work, FLOATS, FLOATS.clone(), NUMBERS)
    assert (found.read, found.written) == (4 * read, 4 * written)


def test_memory_is_that_of_tensors_that_live() -> None:
    def work(x: Tensor) -> None:
        first = x + 1
        second = first[:2] * 2
        del first
        third = torch.cat([second, second])
        assert third.shape == (4, 5)

    found = counted(work, FLOATS)
    # A view keeps the whole alive, an input is no work.
    assert (found.peak, found.largest) == (4 * (30 + 10), 4 * 30)
    kept = counted(lambda x: (x + 1).t()[:1] + (x + 2)[0, 0], FLOATS)
    assert kept.peak == 4 * (30 + 30 + 6)


def test_a_training_step_is_the_cpus() -> None:
    torch.manual_seed(0)
    model, image = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), torch.rand(2, 3, 8, 8)

    def step(model: nn.Module, image: Tensor) -> list[Tensor]:
        for parameter in model.parameters():
            parameter.grad = None
        points = image.new_tensor([[[0.1, 0.2], [0.7, 0.4]]])[:, None].expand(2, -1, -1, -1)
        found = F.grid_sample(model(image), points, align_corners=False)
        F.cross_entropy(
            found[:, :, 0], torch.ones(2, 2, dtype=torch.long, device=image.device)
        ).backward()
        return [parameter.grad for parameter in model.parameters()]

    expected = [gradient.clone() for gradient in step(model, image)]
    counter = DeviceCounter()
    with counter:
        found = step(model.to(DEVICE), image.to(DEVICE))
        assert all(isinstance(gradient, PretendedTensor) for gradient in found)
        found = [gradient.cpu() for gradient in found]
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)
    assert counter.work.operators["aten.convolution_backward.default"] == 1


def test_devices_are_not_mixed() -> None:
    with PretendedDevice():
        x = FLOATS.to(DEVICE)
        assert x.device == DEVICE and x.cpu().device.type == "cpu"
        # As on CUDA: numbers without a dimension, and indices.
        assert torch.equal((x + torch.tensor(1.0)).cpu(), FLOATS + 1)
        assert torch.equal(x[NUMBERS].cpu(), FLOATS[NUMBERS])
        with pytest.raises(RuntimeError, match="tensors of a device and of the CPU"):
            x + FLOATS
