"""Training pictures and curves: what is drawn is what is trained on, and what was logged."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_pointrend.lab.figures import training_curves
from tests.engine.kills import write_config


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    return write_config(tmp_path_factory.mktemp("figures"), iterations=2)


def test_pictures_are_cropped_and_painted(config: Path, tmp_path: Path, call_tool) -> None:
    said = call_tool(
        "analysis_tools/browse_training.py", config, "--out", tmp_path / "a", "--count", 7
    )
    assert "7 pictures" in said
    files = sorted((tmp_path / "a").iterdir())
    assert len(files) == 7  # of six pictures, the first once more
    drawn = [np.array(Image.open(path)).astype(int) for path in files]
    assert {one.shape for one in drawn} == {(32, 128, 3)}
    assert all(np.abs(one[:, :64] - one[:, 64:]).max() > 20 for one in drawn)
    assert not np.array_equal(drawn[0], drawn[6])
    call_tool("analysis_tools/browse_training.py", config, "--out", tmp_path / "b", "--count", 2)
    assert all((tmp_path / "b" / path.name).read_bytes() == path.read_bytes() for path in files[:2])
    message = call_tool.fail(
        "analysis_tools/browse_training.py", config, "--out", tmp_path / "c", "--count", 0
    )
    assert "count must be at least 1, got 0" in message


def write_log(folder: Path, values: list[float]) -> Path:
    path = folder / "20260101/vis_data/scalars.json"
    path.parent.mkdir(parents=True)
    lines = [dict(loss=value, lr=0.1, step=10 * k, iter=10 * k) for k, value in enumerate(values)]
    lines.append(dict(mIoU=50.0, step=20))
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_curves_are_those_of_the_log(tmp_path: Path, call_tool) -> None:
    path, out = write_log(tmp_path / "work", [3.0, 2.0, 1.5]), tmp_path / "new/curves.png"
    curves = training_curves.read_log(tmp_path / "work")
    assert curves["loss"] == [(0, 3.0), (10, 2.0), (20, 1.5)] and curves["mIoU"] == [(20, 50.0)]
    tool = "analysis_tools/plot_log.py"
    call_tool(tool, tmp_path / "work", path, "--keys", "loss", "mIoU", "--out", out)
    assert np.array(Image.open(out)).std() > 10
    assert "key acc is in no log; there are loss, lr, mIoU" in call_tool.fail(
        tool, path, "--keys", "acc", "--out", out
    )
    assert "holds no vis_data/scalars.json" in call_tool.fail(tool, tmp_path / "new", "--out", out)
    other = tmp_path / "other.json"
    other.write_text("[1, 2]")
    assert f"log {other} is no scalars.json" in call_tool.fail(tool, other, "--out", out)
