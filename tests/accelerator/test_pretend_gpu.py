"""The make-believe GPU itself: one wherever it is looked at, and it refuses what CUDA refuses."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_pointrend.core import Subdivision, TrainingPoints, render_labels, select_training_points
from mmseg_pointrend.core.label_rendering.frame import Frame
from tests.accelerator.pretend_gpu import DEVICE, GPUTensor, PretendGPU

pytestmark = pytest.mark.usefixtures("gpu")

MIXTURES = {
    "add": lambda here, there: here + there,
    "in place": lambda here, there: there.add_(here),
    "in place, the other way": lambda here, there: here.add_(there),
    "compare": lambda here, there: here > there,
    "where": lambda here, there: torch.where(here > 0, there, 0.0),
    "masked_fill": lambda here, there: there.masked_fill(here > 0, 0.0),
    "cat": lambda here, there: torch.cat([there, here]),
    "cat of a number": lambda here, there: torch.stack([there[0, 0], here[0, 0]]),
    "matmul": lambda here, there: there @ here,
    "linear": lambda here, there: F.linear(there, here, here[0]),
    "convolution": lambda here, there: F.conv2d(there[None, None], here[None, None]),
    "grid_sample": lambda here, there: F.grid_sample(there[None, None], here[None, None, :, :2]),
    "gather": lambda here, there: there.gather(1, here.long()),
    "scatter": lambda here, there: there.scatter(1, there.long(), here),
    "index_select": lambda here, there: there.index_select(0, here[0].long()),
    "take": lambda here, there: there.take(here.long()),
    "out": lambda here, there: torch.lerp(there, there, 0.5, out=here),
    "index_put": lambda here, there: there.index_put((there[0].long(),), here),
    "indices on the GPU": lambda here, there: here[there.long()],
    "mask on the GPU": lambda here, there: here[there > 0],
    "cross entropy": lambda here, there: F.cross_entropy(there, here[:, 0].long()),
    "equal": lambda here, there: torch.equal(here, there),
}


def both() -> tuple[Tensor, Tensor]:
    here = torch.eye(3)
    return here, here.to("cuda:0")


@pytest.mark.parametrize("mix", MIXTURES.values(), ids=MIXTURES.keys())
def test_mixtures_are_refused(mix) -> None:
    with pytest.raises(RuntimeError, match="same device"):
        mix(*both())


def test_what_cuda_lets_pass() -> None:
    """Single numbers in arithmetic, indices and masks on the CPU, and copies."""
    here, there = both()
    for found in (
        there * torch.tensor(2.0),
        torch.where(there > 0, torch.tensor(1.0), there),
        there[torch.tensor([0, 2])],
        there[[2, 0]],
        there[:, [1]],
        there[here > 0],
        there.clone().index_put_((torch.tensor([1]),), torch.tensor(5.0)),
        torch.zeros(3, 3, device="cuda:0").copy_(here),
    ):
        assert isinstance(found, GPUTensor)
    assert there[[2, 0], 1:].tolist() == here[[2, 0], 1:].tolist()
    here[1] = there[0]
    assert type(here) is Tensor and here[1].tolist() == [1, 0, 0]


def test_numbers_reach_the_host_on_request_alone() -> None:
    here, there = both()
    assert type(there.cpu()) is Tensor and torch.equal(there.to("cpu"), here)
    assert there[0, 0].item() == 1 and bool(there.any()) and int(there.sum()) == 3
    assert there.tolist() == here.tolist()
    assert [len(places) for places in there.nonzero(as_tuple=True)] == [3, 3]
    with pytest.raises((TypeError, RuntimeError), match=r"numpy|Tensor\.cpu"):
        there.numpy()


@pytest.mark.parametrize(
    "make",
    [
        lambda on: torch.zeros(2, 3, **on),
        lambda on: torch.tensor([[1.0, 2.0]], **on),
        lambda on: torch.as_tensor([3, 4], **on),
        lambda on: torch.arange(5, **on),
        lambda on: torch.full((2,), 7, **on),
        lambda on: torch.rand(2, 2, **on),
        lambda on: torch.zeros(2, **on).new_tensor([1, 2]),
        lambda on: torch.zeros(2, **on).new_full((3,), 2),
        lambda on: torch.full_like(torch.zeros(2, **on), 3),
        lambda on: torch.zeros(2, 3, **on).to(torch.float16).t()[1:].contiguous(),
        lambda on: torch.arange(6, **on).view(2, 3).unique(return_inverse=True)[1],
    ],
)
def test_what_is_made_there_is_there(make) -> None:
    torch.manual_seed(3)
    found = make(dict(device="cuda:0"))
    torch.manual_seed(3)
    expected = make({})
    assert found.is_cuda and found.device == DEVICE and not expected.is_cuda
    assert found.dtype == expected.dtype and found.stride() == expected.stride()
    assert torch.equal(found.cpu(), expected)


def test_views_share_their_numbers() -> None:
    maps = torch.zeros(2, 3, device="cuda:0")
    maps.view(-1)[torch.tensor([1, 5], device="cuda:0")] = 1.0
    maps[:, 0].fill_(2)
    torch.lerp(maps[0], maps[1], 1.0, out=maps[0])
    assert maps.tolist() == [[2, 0, 1], [2, 0, 1]]


def test_gradients() -> None:
    """Of a small network, with what is written in place into views, and an optimizer's step."""
    outcomes = []
    for device in ("cpu", "cuda:0"):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).to(device)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        for _ in range(2):
            values = network(torch.randn(2, 3, 8, 9).to(device))
            values = values + 1
            values[:, 0].mul_(2)
            loss = F.grid_sample(values, torch.rand(2, 5, 1, 2).to(device)).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert all(weights.grad.device == torch.device(device) for weights in network.parameters())
        outcomes.append([values.cpu() for values in network.state_dict().values()])
    assert all(map(torch.equal, *outcomes))
    with pytest.raises(RuntimeError, match="same device"):
        network(torch.zeros(2, 3, 8, 9))


def test_autocast() -> None:
    """Products in half precision, sums in single precision; nothing that is done in place."""
    weights = torch.ones(2, 2, device="cuda:0", requires_grad=True)
    with torch.autocast("cuda", torch.float16):
        product = F.linear(weights @ weights, weights, weights[0])
        assert product.dtype == torch.float16
        assert product.softmax(1).dtype == product.sum().dtype == torch.float32
        assert torch.zeros_like(weights).addmm_(weights, weights).dtype == torch.float32
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    product.sum().backward()
    assert weights.grad.dtype == torch.float32 and weights.grad.is_cuda
    assert (weights @ weights).dtype == torch.float32


def test_modules_in_half_precision() -> None:
    layer = nn.Conv2d(1, 2, 3).to("cuda:0").half()
    assert layer(torch.ones(1, 1, 4, 4, device="cuda:0").half()).dtype == torch.float16


def test_random_numbers_come_from_the_right_device(gpu: PretendGPU) -> None:
    expected = torch.rand(4, generator=torch.Generator().manual_seed(7))
    found = torch.rand(4, device="cuda:0", generator=gpu.generator(7))
    assert torch.equal(found.cpu(), expected)
    logits = torch.randn(1, 2, 5, 7)
    points = TrainingPoints(6)
    for there, generator in ((logits.to("cuda:0"), torch.Generator()), (logits, gpu.generator(7))):
        with pytest.raises(RuntimeError, match="generator"):
            select_training_points(there, points, generator=generator)


def test_a_slip_in_a_renderer_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control: one small tensor that is made on the CPU is enough."""
    offsets = Frame.cell_offsets
    coarse = torch.randn(1, 3, 5, 7, device="cuda:0")

    def render() -> list[Tensor]:
        points = torch.ones(1, 3, 1, device="cuda:0")
        subdivision = Subdivision(2, 9)
        return render_labels(
            coarse, lambda at: points.expand(-1, -1, at.shape[1]), subdivision, way="sparse"
        )

    assert render()[0].is_cuda
    monkeypatch.setattr(Frame, "cell_offsets", lambda frame, _: offsets(frame, torch.device("cpu")))
    with pytest.raises(RuntimeError, match="same device"):
        render()
