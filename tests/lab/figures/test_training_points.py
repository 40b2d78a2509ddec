"""The picture of the strategies: what is drawn where, of a scene and of a model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_pointrend.apis.configs import prepare_config, shipped_config
from mmseg_pointrend.apis.prediction import load_model
from mmseg_pointrend.core import (
    TRAINING_STRATEGIES,
    TrainingPoints,
    logit_margin,
    probability_margin,
    select_training_points,
)
from mmseg_pointrend.lab.figures.training_points import (
    CoarsePrediction,
    choose_points,
    draw_strategies,
    draw_training_points,
)

pytestmark = pytest.mark.usefixtures("random_weights")

CONFIG = "pointrend/pointrend_r18-small_1xb4-1k_demo-scenes-128x256.py"


def prediction(height: int = 9, width: int = 20, **changes: object) -> CoarsePrediction:
    logits = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    fields = dict(logits=logits, margin=logit_margin)
    return CoarsePrediction(**(fields | changes))


def test_points_are_those_of_the_sampler() -> None:
    coarse = prediction(margin=probability_margin)
    chosen = choose_points(coarse, 33, seed=4)
    assert list(chosen) == list(TRAINING_STRATEGIES)
    for strategy, points in chosen.items():
        expected = select_training_points(
            coarse.logits, TrainingPoints(33, strategy), probability_margin,
            generator=torch.Generator().manual_seed(4),
        )  # fmt: skip
        assert torch.equal(points, expected[0])


def test_every_point_is_drawn_in_its_place() -> None:
    coarse = prediction()
    panels = draw_strategies(coarse, 33, seed=4).axes
    titles = [panel.get_title() for panel in panels]
    assert titles == [
        "coarse prediction\nwhite: uncertain", "regular grid\n",
        "uniform\nk = 1, \u03b2 = 0", "mildly biased\nk = 3, \u03b2 = 0.75",
        "heavily biased\nk = 10, \u03b2 = 1",
    ]  # fmt: skip
    assert len(panels[0].collections) == 0
    important = [0, 0, 24, 33]
    chosen = choose_points(coarse, 33, seed=4).values()
    for panel, points, count in zip(panels[1:], chosen, important, strict=True):
        others, most_uncertain = (dots.get_offsets() for dots in panel.collections)
        assert len(most_uncertain) == count
        drawn = np.concatenate([most_uncertain, others])
        np.testing.assert_allclose(drawn, points.numpy() * [20, 9], rtol=1e-6)
        assert panel.get_xlim() == (0, 20) and panel.get_ylim() == (9, 0)


def test_uncertain_places_are_white() -> None:
    """The left half is sure of class 0; the right half knows nothing."""
    logits = torch.zeros(1, 2, 16, 16)
    logits[:, 0, :, :9] = 5.0
    picture = draw_strategies(prediction(logits=logits), 4, 0).axes[0].images[0].get_array()
    assert picture[100, -1].tolist() == [1, 1, 1]
    assert picture[100, 0].tolist() != [1, 1, 1]


def test_binary_and_large_predictions() -> None:
    logits = torch.randn(1, 1, 20, 600)
    coarse = prediction(logits=logits, threshold=0.4)
    picture = draw_strategies(coarse, 10, 0).axes[0].images[0].get_array()
    assert picture.shape == (20, 600, 3)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 100, 3), np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    return path


def save_weights(folder: Path, config_path: Path) -> Path:
    checkpoint = folder / "weights.pth"
    torch.save(dict(state_dict={}, meta={}), checkpoint)
    torch.manual_seed(0)
    model = load_model(prepare_config(config_path), checkpoint, "cpu")
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    return checkpoint


def test_a_models_prediction_is_drawn(image: Path, tmp_path: Path, monkeypatch) -> None:
    """The network sees 70x100 padded to 96x128; its coarse map has stride 8."""
    config, seen = shipped_config(CONFIG), {}
    module = "mmseg_pointrend.lab.figures.training_points.draw_strategies"
    monkeypatch.setattr(
        module, lambda coarse, *args: seen.update(coarse=coarse) or draw_strategies(coarse, *args)
    )
    out = tmp_path / "new" / "points.png"
    draw_training_points(
        out, config, save_weights(tmp_path, config), image, num_points=50,
        device="cpu", options={"model.decode_head.uncertainty": "probability"},
    )  # fmt: skip
    assert seen["coarse"].logits.shape[:2] == (1, 9)
    assert seen["coarse"].margin is probability_margin
    assert not seen["coarse"].logits.requires_grad
    assert Image.open(out).size[0] == 5 * 3.2 * 120


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(out="points.jpg"), "out must end in one of .png, .pdf, .svg, got points.jpg"),
        (dict(image="a.png"), "belong together; missing: config, checkpoint"),
        (dict(config_path="a.py", checkpoint="a.pth"), "belong together; missing: image"),
        (dict(num_points=0), r"num_points \(N\) must be an integer >= 1, got 0"),
        (dict(options={"a": 1}), "options are for a config, and there is none: {'a': 1}"),
    ],
)
def test_mistakes(changes: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        draw_training_points(**{"out": tmp_path / "points.png", **changes})
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_pointrend_is_refused(image: Path, tmp_path: Path) -> None:
    config = shipped_config("sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py")
    with pytest.raises(ValueError, match="has no PointRend: model.decode_head is FPNHead"):
        draw_training_points(
            tmp_path / "points.png", config, save_weights(tmp_path, config), image, device="cpu"
        )
