"""Checkpoints as safetensors: what comes back, and what is refused."""

import sys
from pathlib import Path

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import save_file

from mmseg_pointrend import compat
from mmseg_pointrend.compat.safetensors_files import read_safetensors, safetensors_bytes

compat.setup()

WEIGHTS = {
    "a": torch.randn(3, 5), "b.half": torch.randn(2).bfloat16(), "c.count": torch.tensor(7),
}  # fmt: skip
META = dict(dataset_meta=dict(classes=["ä", "b"]), trained={})


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors_bytes(WEIGHTS, META))
    found = CheckpointLoader.load_checkpoint(str(path), map_location="cpu")
    assert found["meta"] == META and found["state_dict"].keys() == WEIGHTS.keys()
    for name, value in found["state_dict"].items():
        assert value.dtype == WEIGHTS[name].dtype and torch.equal(value, WEIGHTS[name])


def test_equal_weights_are_equal_files() -> None:
    assert len({safetensors_bytes(WEIGHTS, META) for _ in range(20)}) == 1


def test_a_file_of_another_project(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "theirs.safetensors")
    found = read_safetensors(tmp_path / "theirs.safetensors")
    assert found["meta"] == {} and found["state_dict"].keys() == WEIGHTS.keys()


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_damaged_files(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    data = safetensors_bytes(WEIGHTS, META)
    path.write_bytes({"cut": data[:-5], "empty": b"", "other": b"PK" + bytes(60)}[damage])
    with pytest.raises(ValueError, match="is no complete file of safetensors"):
        CheckpointLoader.load_checkpoint(str(path), map_location="cpu")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match="python -m pip install safetensors"):
        read_safetensors(tmp_path / "w.safetensors")
