"""tools/export.py: a file is written and tried; mistakes are found before the work."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from mmseg_pointrend.export.onnx_file import OnnxModel
from mmseg_pointrend.export.torch_file import read_metadata
from tests.models.builders import model_config


@pytest.fixture
def model(tmp_path: Path) -> list[Path]:
    """A config and its weights."""
    config = Config(dict(default_scope="mmseg", model=model_config(num_classes=5)))
    (tmp_path / "small.py").write_text(config.pretty_text)
    torch.manual_seed(0)
    state = MODELS.build(config.model).state_dict()
    torch.save(dict(state_dict=state), tmp_path / "weights.pth")
    return [tmp_path / "small.py", tmp_path / "weights.pth"]


@pytest.mark.slow
def test_an_onnx_file(call_tool, model: list[Path], tmp_path: Path) -> None:
    size = ("--size", 64, 96, "--batch", 1, "--confidence", "--order", "bgr")
    text = call_tool("export.py", *model, *size)
    written = f"Written: {tmp_path / 'small.onnx'}, "
    for line in ("traced in ", "written in ", " of 6144 labels differ", written):
        assert line in text
    exported = OnnxModel(tmp_path / "small.onnx")
    assert '"order": "bgr"' in exported.metadata["pictures"]
    assert exported.metadata["classes"].startswith("[") and exported.metadata["model"] == "small"


@pytest.mark.slow
def test_a_program_of_torch(call_tool, model: list[Path], tmp_path: Path) -> None:
    size = ("--size", 64, 96, "--batch", 1, "--format", "torch", "--out", "out/my.pt2")
    assert "Written: out/my.pt2" in call_tool("export.py", *model, *size)
    assert read_metadata(tmp_path / "out/my.pt2")["model"] == "small"


@pytest.mark.slow
def test_convolutions_in_8_bits(call_tool, model: list[Path], tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):  # of another size than the graph's
        noise = rng.integers(0, 256, (50, 70, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / "pictures" / name)
    size = ("--size", 64, 96, "--batch", 2, "--out", "small8.onnx")
    text = call_tool("export.py", *model, *size, "--int8", "pictures")
    assert "calibrated on 2 pictures in " in text and " of 12288 labels differ" in text
    exported = OnnxModel(tmp_path / "small8.onnx")
    assert "classes" in exported.metadata and "onnx.infer" not in exported.metadata


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--opset", 11], "opset must be from 18 to 23, got 11"),
        (["--format", "torch", "--out", "my.onnx"], "is a file *.pt2, got my.onnx"),
        (["--size", 0, 64], "size must be a height and a width >= 1, got (0, 64)"),
        (["--normalized", "--pixels", "uint8"], "normalised pictures have pixels of float32"),
        (["--format", "page", "--order", "bgr"], "pictures of uint8, red first; leave order"),
        (["--format", "page", "--runtime", "."], "is not onnxruntime-web@1.30.0: there is no dist"),
        (["--int8", "none"], "input none does not exist: no file, folder or pattern"),
        (["--int8", ".", "--format", "torch"], "int8 is for ONNX files"),
        (["--int8", ".", "--normalized"], "leave normalized out"),
        (["--int8", ".", "--external-data"], "leave external_data out"),
        (["--out", "weights.pth/my.onnx"], "weights.pth/my.onnx cannot be written: "),
    ],
)
def test_mistakes_are_one_line(call_tool, model: list[Path], options: list, message: str) -> None:
    errors = call_tool.fail("export.py", *model, *options)
    assert message in errors and "Traceback" not in errors
