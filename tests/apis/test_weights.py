"""Checkpoints of other models, lists, NaN: what each tool says, and that it does not go on."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.training import train
from mmseg_pointrend.lab.ablation.one_run import train_and_test
from mmseg_pointrend.lab.benchmark.models import build_models
from mmseg_pointrend.lab.benchmark.settings import (
    Settings,
    complete_settings,
    load_model_config,
)
from tests.engine.kills import write_config


@pytest.fixture(scope="module")
def config_path(tmp_path_factory) -> Path:
    return write_config(tmp_path_factory.mktemp("weights"), iterations=6)


@pytest.fixture(scope="module")
def weights(config_path: Path) -> dict:
    config: Config = prepare_config(config_path)
    return MODELS.build(config.model).state_dict()


def without_point_head(weights: dict) -> dict:
    return {name: value for name, value in weights.items() if "point_head" not in name}


def with_nan(weights: dict) -> dict:
    broken = {name: value.clone() for name, value in weights.items()}
    broken["neck.lateral_convs.0.conv.weight"][0, 0] = float("nan")
    return broken


@pytest.fixture(params=["test", "predict", "benchmark"])
def fails(request, config_path: Path, tmp_path: Path, call_tool):
    """Run a tool that ends with status 2; return what it says."""
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.zeros((40, 50, 3), np.uint8))

    def run(content: object) -> str:
        checkpoint = tmp_path / "x.pth"
        torch.save(content, checkpoint)
        more = dict(
            test=[],
            predict=[image, "--out", tmp_path / "out.png"],
            benchmark=["--shape", 64, "--repeat", 1],
        )[request.param]
        said = call_tool.fail(f"{request.param}.py", config_path, checkpoint, *more)
        (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
        assert not (tmp_path / "out.png").exists()
        return line

    return run


def test_other_checkpoints_are_refused_in_a_line(fails, weights: dict) -> None:
    line = fails(dict(state_dict=without_point_head(weights)))
    assert "x.pth leaves 8 of " in line and "a coarse model without a point head" in line
    assert "no name fits" in fails(dict(state_dict={"a.b": torch.ones(2)}))
    assert "neck.lateral_convs.0.conv.weight holds NaN" in fails(dict(state_dict=with_nan(weights)))
    assert "it is a list, not a dict" in fails([1, 2])
    assert "its state_dict is a list" in fails(dict(state_dict=[1]))
    assert "a is a int" in fails(dict(state_dict=dict(a=1)))


def test_unset_weights_can_be_allowed(config_path, weights, tmp_path: Path, call_tool) -> None:
    checkpoint = tmp_path / "x.pth"
    torch.save(dict(state_dict=without_point_head(weights)), checkpoint)
    assert "mIoU" in call_tool("test.py", config_path, checkpoint, "--allow-unset")


def test_unset_weights_can_be_measured(config_path, weights, tmp_path: Path) -> None:
    checkpoint = tmp_path / "x.pth"
    torch.save(dict(state_dict=without_point_head(weights)), checkpoint)
    settings = Settings(str(config_path), str(checkpoint), shape=(64, 64), allow_unset=True)
    settings = complete_settings(settings)
    models = build_models(settings, load_model_config(settings))
    name = "neck.lateral_convs.0.conv.weight"
    assert torch.equal(models["ours"].state_dict()[name], weights[name])


def test_ablations_refuse_weights_of_another_model(config_path, weights, tmp_path: Path) -> None:
    """A run whose training is done goes on to its tests, with whatever checkpoint is there."""
    folder = tmp_path / "run"
    (folder / "tests/as-trained").mkdir(parents=True)
    (folder / "training").mkdir()
    (folder / "config.py").write_text(prepare_config(config_path).pretty_text)
    (folder / "tests/as-trained/options.json").write_text("{}")
    (folder / "training/last_checkpoint").write_text("iter_6.pth")
    torch.save(dict(state_dict=without_point_head(weights)), folder / "training/iter_6.pth")
    with pytest.raises(ValueError, match="weights of the model unset .* without a point head"):
        train_and_test(folder)


def test_auxiliary_heads_are_not_needed(config_path, weights, tmp_path: Path, call_tool) -> None:
    checkpoint = tmp_path / "x.pth"
    extra = {"auxiliary_head.conv_seg.weight": torch.ones(2, 2, 1, 1)}
    torch.save(dict(state_dict=weights | extra), checkpoint)
    assert "mIoU" in call_tool("test.py", config_path, checkpoint)


def test_a_training_says_what_it_starts_from(config_path, weights, tmp_path: Path, capfd) -> None:
    checkpoint = tmp_path / "x.pth"
    torch.save(dict(state_dict=without_point_head(weights)), checkpoint)
    train(config_path, tmp_path / "work", options=dict(load_from=str(checkpoint)))
    said = "".join(capfd.readouterr())
    assert f"Weights from {checkpoint}: " in said
    assert "loaded; at their initial values: decode_head.point_head" in said


def test_weights_that_cannot_be_had_are_told_by_their_key(config_path, tmp_path: Path) -> None:
    """Backbone weights named in an `init_cfg`: the advice names that key."""
    init_cfg = dict(type="Pretrained", checkpoint="http://127.0.0.1:9/backbone.pth")
    options = {"model.pretrained": None, "model.backbone.init_cfg": init_cfg}
    with pytest.raises(ConnectionError, match="Cannot download http://127.0.0.1:9") as raised:
        train(config_path, tmp_path / "work", options=options)
    assert "--cfg-options model.backbone.init_cfg.checkpoint=FILE" in str(raised.value)
    assert "model.pretrained" not in str(raised.value)


@pytest.mark.parametrize("start", ["load_from", "resume"])
def test_a_checkpoint_replaces_weights_to_download(
    start: str, config_path, weights, tmp_path: Path
) -> None:
    init_cfg = dict(type="Pretrained", checkpoint="http://127.0.0.1:9/backbone.pth")
    options = {"model.pretrained": None, "train_cfg.max_iters": 2}
    checkpoint = train(config_path, tmp_path / "first", options=options).work_dir + "/iter_2.pth"
    options |= {"model.backbone.init_cfg": init_cfg, "train_cfg.max_iters": 3}
    if start == "load_from":
        runner = train(config_path, tmp_path / "work", options=options | {start: checkpoint})
    else:
        runner = train(config_path, tmp_path / "work", resume=checkpoint, options=options)
    assert runner.iter == 3
