"""tools/retrofit.py from a trained base to the comparison, with trainings of two iterations."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_pointrend.apis.configs import load_config
from mmseg_pointrend.apis.retrofit import PointSettings, train_retrofit
from mmseg_pointrend.apis.training import train
from mmseg_pointrend.lab.scenes import write_scenes
from tests.tools.commands import ROOT, forget_runs

pytestmark = pytest.mark.slow

FPN = ROOT / "configs/sem_fpn/fpn_r18-small_1xb4-1k_demo-scenes-128x256.py"
DEEPLAB = ROOT / "configs/deeplabv3/deeplabv3_r18-small-d16_1xb4-1k_demo-scenes-128x256.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Options that name a few scenes, smaller than the real ones."""
    root = tmp_path_factory.mktemp("scenes")
    write_scenes(root, 4, 2, size=(128, 256))
    return {
        **{
            f"{split}_dataloader.dataset.data_root": str(root) for split in ("train", "val", "test")
        },
        "train_dataloader.dataset.pipeline.2.crop_size": (64, 128),
        "model.data_preprocessor.size": (64, 128),
    }


def as_text(options: dict) -> list[str]:
    return [f"{key}={value}".replace(" ", "") for key, value in options.items()]


def trained(config: Path, folder: Path, options: dict) -> Path:
    """Train a base for two iterations; returns its checkpoint."""
    short = {
        "train_cfg.max_iters": 2,
        "train_cfg.val_begin": 9,
        "default_hooks.checkpoint.interval": 2,
        "param_scheduler.0.end": 1,
        "param_scheduler.1.begin": 1,
        "param_scheduler.1.end": 2,
    }
    train(config, folder, options=options | short)
    forget_runs()
    return folder / "iter_2.pth"


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.mark.parametrize(
    ("base", "fine", "picture"),
    [(FPN, [0], 3), (DEEPLAB, [0, 1], 0)],
    ids=["SemanticFPN", "DeepLabV3"],
)
def test_a_base_is_sharpened(
    base: Path, fine: list, picture: int, data: dict, tmp_path: Path, call_tool: Callable
):
    checkpoint = trained(base, tmp_path / "base", data)
    strides = [] if fine == [0] else ["--fine-strides", 4, 8]
    said = call_tool(
        "retrofit.py", base, checkpoint, "--out", "sharp", "--iterations", 2, "--seed", 5,
        "--channels", 16, "--picture", picture, *strides, "--cfg-options", *as_text(data),
    )  # fmt: skip
    folder = tmp_path / "sharp"
    after, before = weights(folder / "training/iter_2.pth"), weights(checkpoint)
    for name, value in before.items():
        name = name.replace("decode_head.", "decode_head.coarse_head.")
        assert torch.equal(after.pop(name), value), name
    assert {name.split(".")[1] for name in after} == {"point_head"}
    head = load_config(folder / "retrofit.py").model.decode_head
    assert head.point_head.in_index == fine

    report = json.loads((folder / "report.json").read_text())
    assert {"mIoU", "trimap/mIoU_2px"} <= report["before"].keys() == report["after"].keys()
    assert report["before"] != report["after"]
    assert min(report["milliseconds"].values()) > 0
    assert "milliseconds a picture" in said and "sharp/training/iter_2.pth" in said
    drawing = np.array(Image.open(folder / "comparison.png").convert("RGB"))
    assert len(np.unique(drawing.reshape(-1, 3), axis=0)) > 200

    # The command that it names gives what the report says; the coarse map is the base.
    said = call_tool(
        "test.py", "sharp/retrofit.py", "sharp/training/iter_2.pth", "--work-dir", "again"
    )
    (found,) = (json.loads(path.read_text()) for path in (tmp_path / "again").glob("*/*.json"))
    for name, value in report["after"].items():
        assert found[name] == pytest.approx(value, abs=0.006)
        assert found.get(f"coarse/{name}", report["before"][name]) == pytest.approx(
            report["before"][name], abs=0.02
        )


def test_an_interrupted_retrofit_goes_on(data: dict, tmp_path: Path, call_tool: Callable) -> None:
    """To the weights of the one that was not, with the base still frozen, and a child's, too."""
    weighted = dict(type="CrossEntropyLoss", class_weight=[1, 2, 1, 1, 1, 1, 1, 1, 0.5])
    loss = {f"model.decode_head.loss_decode.{key}": value for key, value in weighted.items()}
    options = data | loss
    checkpoint = trained(FPN, tmp_path / "base", data)  # whose loss fails with weights and void
    settings = PointSettings(iterations=4, channels=8)
    whole = train_retrofit(FPN, checkpoint, tmp_path / "whole", settings, options)
    forget_runs()
    text = whole.config.read_text().replace(str(tmp_path / "whole"), str(tmp_path / "broken"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/base.pth").write_bytes(whole.base_weights.read_bytes())
    (tmp_path / "broken/retrofit.py").write_text(text)
    train(tmp_path / "broken/retrofit.py", options={"train_cfg.max_iters": 2})
    forget_runs()
    said = call_tool.fail("retrofit.py", FPN, checkpoint, "--out", "broken")
    assert "broken holds a retrofit already; go on with it by resume" in said
    call_tool("retrofit.py", FPN, checkpoint, "--out", "broken", "--resume",
              "--cfg-options", *as_text(options))  # fmt: skip
    ours, expected = weights(tmp_path / "broken/training/iter_4.pth"), weights(whole.checkpoint())
    assert all(torch.equal(ours[name], value) for name, value in expected.items())
    assert load_config(whole.config).model.decode_head.loss_point.class_weight[1] == 2

    child = tmp_path / "child.py"
    child.write_text(
        f'_base_ = "{whole.config}"\n'
        f'load_from = "{whole.checkpoint()}"\n'
        "optim_wrapper = dict(optimizer=dict(lr=1e-4))\n"
        "train_cfg = dict(max_iters=1)\n"
    )
    train(child, tmp_path / "child")
    further = weights(tmp_path / "child/iter_1.pth")
    kept = {name for name, value in expected.items() if torch.equal(further[name], value)}
    assert {name.split(".")[1] for name in expected.keys() - kept} == {"point_head"}


def test_mistakes_get_one_line(data: dict, tmp_path: Path, call_tool: Callable) -> None:
    checkpoint = trained(FPN, tmp_path / "base", data)
    options = ["--cfg-options", *as_text(data)]

    def mistake(*arguments: object) -> str:
        said = call_tool.fail("retrofit.py", *arguments, "--out", "out", *options)
        (line,) = (line for line in said.splitlines() if line.startswith("error: "))
        assert not (tmp_path / "out/retrofit.py").exists()
        return line

    assert "no feature map has stride 2; there are [4, 8, 16, 32]" in mistake(
        FPN, checkpoint, "--fine-strides", 2
    )
    assert "iterations must be >= 1, got 0" in mistake(FPN, checkpoint, "--iterations", 0)
    assert "weights of the model unset" in mistake(DEEPLAB, checkpoint)
    assert "nowhere.pth does not exist" in mistake(FPN, "nowhere.pth")
    assert "num_points" in mistake(FPN, checkpoint, "--num-points", "many")
