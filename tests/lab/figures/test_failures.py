"""Where rendering loses: what is counted, and which windows are drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from PIL import Image

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.lab.figures.failures import Change, Losses
from tests.engine.kills import write_config

TOOL = "analysis_tools/draw_failures.py"


def change_of(truth: torch.Tensor, coarse: torch.Tensor, rendered: torch.Tensor) -> Change:
    image = np.zeros((*truth.shape, 3), np.uint8)
    return Change("a.png", image, truth, coarse, rendered, truth != 255)


def example() -> Change:
    """16x40 pixels: class 1 on the right; 3 pixels get lost, 2 gained, 1 is wrong either way."""
    truth = torch.zeros(16, 40, dtype=torch.int64)
    truth[:, 20:] = 1
    truth[:2] = 255
    coarse, rendered = truth.clone(), truth.clone()
    coarse[:2] = rendered[:2] = 0
    rendered[0, 5] = 1  # void
    rendered[5, 18:20] = 1
    rendered[6, 36] = 2
    coarse[10, 3:5] = 1
    coarse[12, 30], rendered[12, 30] = 0, 2
    return change_of(truth, coarse, rendered)


def test_gains_and_losses_are_counted() -> None:
    losses = Losses()
    losses.add(example(), ignore_index=255)
    losses.add(change_of(*[torch.zeros(16, 40, dtype=torch.int64)] * 3), 255)
    assert (losses.pictures, losses.worse) == (2, 1)
    assert (losses.gained, losses.lost, losses.other) == (2, 3, 1)
    # The boundary lies between columns 19 and 20: they are 1 px away from it.
    assert losses.near == {2: 2, 8: 2}
    assert losses.confusions == {(0, 1): 2, (1, 2): 1}
    assert losses.describe("abc").splitlines() == [
        "2 pictures, 1 of them with fewer right pixels than before",
        "pixels that became right 2, wrong 3, another wrong class 1; of those that became wrong "
        "67 % within 2 px, 67 % within 8 px of a boundary",
        "  66.7 % are a, taken for b",
        "  33.3 % are b, taken for c",
    ]


def test_the_window_is_where_most_is_lost() -> None:
    change = example()
    rows, columns = change.window
    assert (rows.stop - rows.start, columns.stop - columns.start) == (4, 10)
    assert change.lost[rows, columns].sum() == 2 and change.window_loss == 2


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("failures")
    config = write_config(folder, iterations=2)
    torch.manual_seed(0)
    model = MODELS.build(prepare_config(config).model)
    for parameter in model.decode_head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    torch.save(dict(state_dict=model.state_dict()), folder / "weights.pth")
    return config, folder / "weights.pth"


def test_they_are_drawn(given, call_tool, tmp_path: Path) -> None:
    out = tmp_path / "new/failures.png"
    said = call_tool(TOOL, *given, "--out", out, "--count", 1)
    assert "2 pictures, " in said and "1. " in said and "2. " not in said
    pixels = np.array(Image.open(out).convert("RGB"))
    assert pixels.shape[1] > 1000
    # What became wrong is red in the last panel.
    assert (pixels == (213, 50, 50)).all(-1).sum() > 20


def test_what_cannot_be_drawn_is_named(given, call_tool, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "a.png")
    assert "count must be >= 1, got 0" in call_tool.fail(TOOL, *given, *out, "--count", 0)
    baseline = "fpn_r18-small_1xb4-1k_demo-scenes-128x256"
    assert "no PointRend head" in call_tool.fail(TOOL, baseline, given[1], *out)
