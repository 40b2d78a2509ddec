"""One model in each form in which it can be shipped."""

import json
from pathlib import Path

import pytest
import torch

from mmseg_pointrend.lab.benchmark import exported_forms
from mmseg_pointrend.lab.benchmark.exported_forms import (
    FAST,
    GRAPH,
    INT8,
    ONNX,
    PLAIN,
    PROGRAM,
    FormSettings,
)
from mmseg_pointrend.lab.scenes import write_scenes
from tests.apis.random_weights import save_weights

NAME = "pointrend_r18-small_1xb4-1k_demo-scenes-128x256"


@pytest.mark.slow
def test_the_table(tmp_path: Path, call_tool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each form predicts the pictures; what is the same arithmetic gives the same labels."""
    # Processes of their own for the memory are tried by the benchmark's tests.
    monkeypatch.setattr(exported_forms, "in_new_process", lambda peak, *_: 3 * 2**20)
    write_scenes(tmp_path / "scenes", 3, 3, size=(64, 96))
    save_weights(NAME, {}, tmp_path)
    roots = [f"{split}_dataloader.dataset.data_root={tmp_path}/scenes"
             for split in ("train", "val", "test")]  # fmt: skip
    text = call_tool("analysis_tools/compare_exports.py", NAME, tmp_path / "weights.pth",
                     "--pictures", 2, "--calibration", 2, "--json", "report.json",
                     "--cfg-options", *roots)  # fmt: skip
    assert "calibrating 8 bits on 2 pictures" in text and "6 forms, 2 pictures" in text
    forms = json.loads(Path("report.json").read_text())["forms"]
    assert list(forms) == [PLAIN, FAST, GRAPH, PROGRAM, ONNX, INT8]
    assert all(name in text for name in forms)
    for form in forms.values():
        assert form["ms"] > 0 and form["peak_mib"] == 3 and 0 <= form["mIoU"] <= 100
    for same in (GRAPH, PROGRAM, ONNX):
        assert forms[same]["different"] < 1e-3
        assert forms[same]["mIoU"] == pytest.approx(forms[PLAIN]["mIoU"], abs=0.05)
    assert 0 < forms[INT8]["different"] < 0.8
    assert forms[INT8]["file_mb"] < 0.5 * forms[ONNX]["file_mb"]


def test_pictures_that_are_resized(tmp_path: Path) -> None:
    item = dict(inputs=torch.zeros(3, 8, 9), data_samples=_Sample((4, 5)))
    with pytest.raises(ValueError, match=r"makes \(8, 9\) of \(4, 5\): leave its resizing out"):
        exported_forms._check_size(item)


class _Sample:
    def __init__(self, ori_shape: tuple[int, int]) -> None:
        self.ori_shape = ori_shape


@pytest.mark.parametrize("name", ["pictures", "calibration", "threads"])
def test_numbers_out_of_range(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be >= 1, got 0"):
        FormSettings("config", "checkpoint", **{name: 0})
