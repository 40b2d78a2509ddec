"""Training a point head: it learns, the network stays, and an interruption leaves no trace."""

import io

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mmseg_pointrend.core import TrainingPoints
from mmseg_pointrend.retrofit import HeadTraining, KeptMaps, Retrofit, TrainingSettings
from tests.retrofit.networks import bars, read_maps, small_network

EXAMPLE = torch.zeros(1, 3, 64, 64)
SETTINGS = TrainingSettings(
    iterations=8, training_points=TrainingPoints(num_points=64), class_weights=[1.0, 2.0, 0.5]
)


def build() -> Retrofit:
    network = small_network()
    torch.manual_seed(0)
    return Retrofit(network, read_maps, EXAMPLE)


def loader() -> DataLoader:
    return DataLoader(TensorDataset(*bars(10)), batch_size=4, shuffle=True)


def copy(state: dict) -> dict:
    return {name: values.clone() for name, values in state.items()}


def equal(state: dict, other: dict) -> bool:
    return all(torch.equal(values, other[name]) for name, values in state.items())


def test_it_learns_what_the_network_does_not_know() -> None:
    model = build()
    settings = TrainingSettings(iterations=60, training_points=TrainingPoints(num_points=256))
    HeadTraining(model, settings).run(loader(), report=None)
    images, labels = bars(4, seed=1)
    right = (model(images) == labels).float().mean()
    assert (model.coarse_labels(images) == labels).float().mean() < 0.5
    assert right > 0.6


def test_the_network_stays_as_it_is_to_the_bit() -> None:
    model = build()
    before, head = copy(model.network.state_dict()), copy(model.point_head.state_dict())
    HeadTraining(model, SETTINGS).run(loader(), report=None)
    assert "stem.1.running_mean" in before
    assert equal(model.network.state_dict(), before)
    assert not equal(model.point_head.state_dict(), head)
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    assert not any(module.training for module in model.network.modules())


def test_an_interrupted_training_is_the_one_that_was_not() -> None:
    model = build()
    whole = HeadTraining(model, SETTINGS)
    expected = list(whole.steps(loader()))
    training, state = HeadTraining(build(), SETTINGS), io.BytesIO()
    for step in training.steps(loader()):
        torch.rand(3)  # others may draw, too
        if step.iteration == 5:
            torch.save(training.state_dict(), state)
            break
    state.seek(0)
    torch.manual_seed(99)
    resumed = HeadTraining(Retrofit(small_network(), read_maps, EXAMPLE), SETTINGS)
    resumed.load_state_dict(torch.load(state, weights_only=True))
    assert list(resumed.steps(loader())) == expected[5:]
    assert equal(resumed.model.point_head.state_dict(), model.point_head.state_dict())


def test_another_seed_is_another_training() -> None:
    first = next(HeadTraining(build(), SETTINGS).steps(loader()))
    same = next(HeadTraining(build(), SETTINGS).steps(loader()))
    other = next(HeadTraining(build(), TrainingSettings(seed=1)).steps(loader()))
    assert first == same
    assert first.loss != other.loss


def test_class_weights_and_ignored_labels_count() -> None:
    images, labels = bars(2)
    model, points = build(), TrainingPoints(num_points=500)
    only_first = torch.where(labels == 0, labels, 9)

    def loss(labels: torch.Tensor, *settings: object) -> float:
        return model.loss(images, labels, points, *settings, torch.Generator())[0].item()

    assert loss(labels, [1.0, 0.0, 0.0], 255) == pytest.approx(loss(only_first, None, 9), rel=1e-5)
    assert loss(labels, None, 255) != pytest.approx(loss(only_first, None, 9), rel=1e-5)


def test_kept_maps_are_those_of_the_pictures() -> None:
    """The same training but for rounding, without asking the network again."""
    model, pictures = build(), list(zip(*bars(6), strict=True))
    expected = [step.loss for step in HeadTraining(model, SETTINGS).steps(DataLoader(pictures, 2))]
    again = build()
    kept = KeptMaps(again, pictures, torch.float32)
    again.read_maps = None
    batches = DataLoader(kept, 2, collate_fn=kept.collate)
    found = [step.loss for step in HeadTraining(again, SETTINGS).steps(batches)]
    assert found == pytest.approx(expected, rel=1e-4)
    assert KeptMaps(build(), pictures)[0][0].fine[1].maps.dtype == torch.float16


def test_progress_is_told() -> None:
    told: list[str] = []
    HeadTraining(build(), SETTINGS).run(loader(), report=told.append, interval=3)
    assert [line.split()[1] for line in told] == ["3/8", "6/8", "8/8"]
    assert "s to go" in told[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(iterations=0), "iterations must be an integer >= 1, got 0"),
        (dict(learning_rate=0), "learning_rate must be > 0, got 0"),
        (dict(weight_decay=-1), "weight_decay must be >= 0, got -1"),
        (dict(class_weights=[1, -1]), r"class_weights must be >= 0, got \[1, -1\]"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**settings)


def test_what_is_no_batch_and_what_is_no_state_are_refused() -> None:
    training = HeadTraining(build(), SETTINGS)
    images, labels = bars(1)
    with pytest.raises(ValueError, match=r"a batch must be \(images, labels\), got Tensor"):
        next(training.steps([images]))
    with pytest.raises(ValueError, match=r"labels must have shape \(N, H, W\), got \(1, 1, 45"):
        next(training.steps([(images, labels[None])]))
    with pytest.raises(ValueError, match="the loss is nan in iteration 1"):
        next(training.steps([(images * float("nan"), labels)]))
    with pytest.raises(ValueError, match=r"state lacks \['feature_scales', 'iteration', "):
        training.load_state_dict({})


def test_how_large_maps_are_does_not_matter() -> None:
    """A picture that its network takes divided by 255 twice is seen as well as any other."""

    def train(share: float) -> torch.Tensor:
        def read(network: nn.Module, images: torch.Tensor) -> tuple:
            coarse, fine = read_maps(network, images)
            return coarse, [*fine, share * images]

        network = small_network()
        torch.manual_seed(0)
        model = Retrofit(network, read, EXAMPLE)
        HeadTraining(model, SETTINGS).run(loader(), report=None)
        return model.logits(bars(2, seed=1)[0])

    assert torch.allclose(train(1.0), train(2.0**-16), atol=1e-4)
