"""The tool that draws training points, as a real process."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tools.test_tools import tool

pytestmark = pytest.mark.slow
NAME = "analysis_tools/draw_training_points.py"


def test_the_scene_is_drawn_again_for_the_same_seed(tmp_path: Path) -> None:
    pictures = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = tmp_path / "new" / f"{name}.png"
        done = tool(NAME, "--out", out, "--num-points", 37, "--seed", seed, cwd=tmp_path)
        assert (done.stdout, done.stderr) == (f"Written: {out}\n", "")
        pictures.append(np.array(Image.open(out).convert("RGB")))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_mistake_takes_one_line(tmp_path: Path) -> None:
    done = tool(
        NAME, "--out", "x.png", "--config", "a.py", "--image", "a.png", cwd=tmp_path, fails=True
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: config, checkpoint and image belong together; missing: checkpoint\n"
    )
