"""Published weights: complete, loaded wherever a checkpoint is taken, and a card that is true."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.apis import inference_model, init_model

from mmseg_pointrend.apis import PointRendInferencer
from mmseg_pointrend.apis.publishing import publish
from mmseg_pointrend.apis.publishing.measured import find_metrics, read_metrics
from mmseg_pointrend.engine.starting_point import choose_start
from tests.apis.random_weights import save_weights

NAME = "pointrend_r18-small_1xb4-1k_demo-scenes-128x256"
PICTURE = np.random.default_rng(0).integers(0, 256, (61, 83, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training leaves: a checkpoint with all that is in one, and logs."""
    folder = tmp_path_factory.mktemp("run")
    _, checkpoint = save_weights(NAME, {}, folder)
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    meta = dict(
        iter=1000, epoch=0, seed=0, cfg="work_dir = '/home/somebody/work'", experiment_name="mine",
        dataset_meta=dict(classes=("a", "b"), palette=[(1, 2, 3), (4, 5, 6)]),
    )  # fmt: skip
    state = {0: dict(exp_avg=torch.randn(300_000))}
    whole = dict(meta=meta, state_dict=weights, optimizer=dict(state=state), message_hub={})
    torch.save(whole, checkpoint)
    log = folder / "20260101_000000/vis_data/scalars.json"
    log.parent.mkdir(parents=True)
    lines = [
        dict(lr=0.1, loss=1.5, iter=1000, step=1000),
        dict(mIoU=40.25, time=0.5, step=900),
        {"mIoU": 50.5, "mIoU_2px": 31.0, "time": 0.5, "step": 1000},
    ]
    log.write_text("\n".join(map(json.dumps, lines)) + '\n{"mIoU": 1')  # killed
    return folder


@pytest.fixture(scope="module")
def published(run: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("published")
    return publish(NAME, run / "weights.pth", out, safetensors=True)


def test_the_files(published, run: Path) -> None:
    pth, safe = published.weights
    for path in (pth, safe):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.name == f"{NAME}-{digest[:8]}{path.suffix}"
        assert digest in published.card.read_text()
    found = torch.load(pth, weights_only=True)
    expected = torch.load(run / "weights.pth", weights_only=True)["state_dict"]
    assert found.keys() == {"state_dict", "meta"}
    assert found["state_dict"].keys() == expected.keys()
    assert all(torch.equal(found["state_dict"][name], expected[name]) for name in expected)
    assert found["meta"]["dataset_meta"]["classes"] == ["a", "b"]
    assert found["meta"]["trained"] == dict(iter=1000, epoch=0, seed=0)
    assert "somebody" not in str(found["meta"])
    assert pth.stat().st_size < (run / "weights.pth").stat().st_size - 1_000_000
    again = publish(NAME, run / "weights.pth", published.card.parent, safetensors=True)
    assert again == published  # the same weights, the same names


def test_they_load_wherever_a_checkpoint_does(published, run: Path) -> None:
    expected = PointRendInferencer(NAME, run / "weights.pth", "cpu")(PICTURE).labels
    for weights in published.weights:
        found = PointRendInferencer(published.config, weights, "cpu")(PICTURE).labels
        assert np.array_equal(found, expected)
        model = init_model(str(published.config), str(weights), device="cpu")
        theirs = inference_model(model, PICTURE[..., ::-1]).pred_sem_seg.data[0].numpy()
        assert np.array_equal(theirs, expected)


def test_a_training_starts_from_them_and_is_not_resumed(published) -> None:
    from mmseg_pointrend.apis.configs import prepare_config

    for weights in published.weights:
        config = prepare_config(published.config, options=dict(load_from=str(weights)))
        assert choose_start(config, None) == 0
        with pytest.raises(ValueError, match="weights, .*no training|training"):
            choose_start(prepare_config(published.config), str(weights))


def test_the_card(published) -> None:
    card = published.card.read_text()
    assert f"# {NAME}" in card and f'"{published.weights[0].name}"' in card
    assert "| Classes | 9: road, " in card
    assert "| Model | PointRend, PointRendHead, ResNet" in card
    assert "| Trained on | DemoScenesDataset (demo_scenes) |" in card and "seed 0 |" in card
    assert "1000 of 1000 iterations, 4 pictures a process" in card
    assert "by the training's validation, step 1000" in card
    assert "| mIoU | 50.5 |" in card and "| mIoU_2px | 31 |" in card
    assert "not measured." not in card.partition("## Limits")[0]
    number = re.search(r"\| Numbers in it \| ([\d,]+) \|", card)[1].replace(",", "")
    weights = torch.load(published.weights[0], weights_only=True)["state_dict"]
    assert int(number) == sum(value.numel() for value in weights.values())


def test_the_config_stands_alone(published) -> None:
    text = published.config.read_text()
    assert "_base_" not in text and "work_dir" not in text


def test_metrics(run: Path, tmp_path: Path) -> None:
    assert find_metrics(run / "weights.pth", dict(iter=900)).values == dict(mIoU=40.25)
    assert not find_metrics(run / "weights.pth", dict(iter=1, epoch=0, seed=900)).values
    assert not find_metrics(tmp_path / "weights.pth", {}).values
    file = tmp_path / "m.json"
    file.write_text('{"mIoU": 3, "time": 1.0, "data_time": 1, "nothing": NaN, "name": "x"}')
    assert read_metrics(file).values == dict(mIoU=3.0)
    out = publish(NAME, run / "weights.pth", tmp_path / "out", metrics=file)
    card = out.card.read_text()
    assert "by tools/test.py, `m.json`" in card
    assert "How good it is at boundaries was not measured." in card
    (run / "weights.pth").rename(tmp_path / "elsewhere.pth")
    card = publish(NAME, tmp_path / "elsewhere.pth", tmp_path / "out").card.read_text()
    (tmp_path / "elsewhere.pth").rename(run / "weights.pth")
    assert "Nothing was given." in card and "How good it is was not measured." in card
    for text, message in (("[1]", "must hold numbers"), ("{", "is no JSON"), ("{}", "must hold")):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_metrics(file)
    with pytest.raises(FileNotFoundError, match=r"metrics .*none.json cannot be read"):
        read_metrics(tmp_path / "none.json")


def test_what_is_refused(run: Path, tmp_path: Path, call_tool) -> None:
    other = "fpn_r18-small_1xb4-1k_demo-scenes-128x256"
    line = call_tool.fail("publish.py", other, run / "weights.pth", "--out", tmp_path / "out")
    assert "weights of the model unset" in line and not (tmp_path / "out").exists()
    line = call_tool.fail("publish.py", NAME, tmp_path / "none.pth", "--out", tmp_path)
    assert "none.pth does not exist" in line
    (tmp_path / "file").write_text("")
    line = call_tool.fail("publish.py", NAME, run / "weights.pth", "--out", tmp_path / "file")
    assert f"out must be a folder, got the file {tmp_path / 'file'}" in line
