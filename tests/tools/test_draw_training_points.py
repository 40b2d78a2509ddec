"""The tool that draws training points: once as a real process."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_pointrend.apis.configs import shipped_config
from tests.apis.test_training_points_figure import CONFIG, save_weights
from tests.tools.commands import tool

pytestmark = pytest.mark.slow
NAME = "analysis_tools/draw_training_points.py"


def test_the_scene_is_drawn_again_for_the_same_seed(tmp_path: Path, call_tool) -> None:
    def command(name: str, seed: int) -> tuple:
        out = tmp_path / f"new/{name}.png"
        return NAME, "--out", out, "--num-points", 37, "--seed", seed

    done = tool(*command("a", 0), cwd=tmp_path)
    assert (done.stdout, done.stderr) == (f"Written: {tmp_path}/new/a.png\n", "")
    for name, seed in (("b", 0), ("c", 1)):
        assert call_tool(*command(name, seed)) == f"Written: {tmp_path}/new/{name}.png\n"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    pictures = [np.array(Image.open(tmp_path / f"new/{name}.png").convert("RGB")) for name in "abc"]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_a_models_prediction(tmp_path: Path, call_tool) -> None:
    """An image twice as wide as high, and padded: the panels are as the network's input."""
    config, image, out = shipped_config(CONFIG), tmp_path / "image.png", tmp_path / "points.svg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 128, 3), np.uint8)).save(image)
    printed = call_tool(
        NAME, "--out", out, "--config", config, "--checkpoint", save_weights(tmp_path, config),
        "--image", image, "--device", "cpu",
        "--cfg-options", "model.decode_head.uncertainty=probability",
    )  # fmt: skip
    assert printed.splitlines()[-1] == f"Written: {out}"
    assert "<svg" in out.read_text(encoding="utf-8")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"image.png", "points.svg", "weights.pth"}


def test_a_mistake_takes_one_line(call_tool) -> None:
    assert (
        call_tool.fail(NAME, "--out", "x.png", "--config", "a.py", "--image", "a.png")
        == "error: config, checkpoint and image belong together; missing: checkpoint\n"
    )
