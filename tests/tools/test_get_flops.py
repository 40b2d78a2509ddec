"""The counting tool as a real process."""

import json
from pathlib import Path

import pytest

from tests.tools.commands import ROOT, tool
from tests.tools.test_tools import ADE20K

pytestmark = pytest.mark.slow


def test_counts_are_printed_and_written(tmp_path: Path) -> None:
    """ADE20K: 406 * 256 * 3 + 406 * 150 = 372708 multiply-adds a point."""
    path = tmp_path / "counts" / "ade20k.json"
    done = tool(
        "analysis_tools/get_flops.py", ROOT / ADE20K, "--shape", 67, 131, "--json", path,
        "--cfg-options", "model.pretrained=nowhere.pth",
        "model.decode_head.subdivision.num_points=700", cwd=tmp_path,
    )  # fmt: skip
    counts = json.loads(path.read_text())
    assert counts["training"]["shape"] == counts["rendering"]["shape"] == [67, 131]
    # The coarse map is 17x33: 34 * 66 and 68 * 132 pixels, more than 700.
    steps = counts["rendering"]["steps"]
    assert [step["points"] for step in steps] == [700, 700]
    assert [step["multiply_adds"] for step in steps] == [700 * 372708] * 2
    assert counts["rendering"]["dense"]["multiply_adds"] == 68 * 132 * 372708
    assert "step 2, grid 68x132" in done.stdout
    assert "6.4" in done.stdout.split("Rendering needs, times fewer")[1]
    assert list(tmp_path.iterdir()) == [path.parent]
