"""The tool that draws training points: once as a real process."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_pointrend.apis.configs import shipped_config
from tests.lab.figures.test_training_points import CONFIG, save_weights
from tests.tools.commands import tool

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("random_weights")]
NAME = "analysis_tools/draw_training_points.py"


def test_the_documentations_figure_is_the_default_one(tmp_path: Path, call_tool) -> None:
    shown = read(Path(__file__).parents[2] / "docs/training_points.png")
    done = tool(NAME, "--out", tmp_path / "new/a.png", cwd=tmp_path)
    assert (done.stdout, done.stderr) == (f"Written: {tmp_path}/new/a.png\n", "")
    call_tool(NAME, "--out", tmp_path / "new/b.png", "--num-points", 197, "--seed", 1)
    differences = [np.abs(read(tmp_path / f"new/{name}.png") - shown).mean() for name in "ab"]
    # Another release of matplotlib may smooth the edges of letters in another way.
    assert differences[0] < 1 < differences[1]
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def read(picture: Path) -> np.ndarray:
    return np.array(Image.open(picture).convert("RGB"), dtype=float)


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
