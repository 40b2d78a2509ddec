"""Weights among the files of a package: found without importing it, opened safely."""

import pickle
from pathlib import Path

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

from mmseg_pointrend.compat.checkpoints import CheckpointError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that cannot be imported."""
    folder = tmp_path / "made_up_weights"
    (folder / "files").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def load(path: str) -> dict:
    """As mmengine loads what an `init_cfg` names."""
    return CheckpointLoader.load_checkpoint(f"package://{path}", map_location="cpu", logger=None)


def test_a_file_of_a_package_is_loaded(package: Path) -> None:
    torch.save({"weight": torch.arange(3)}, package / "files/some.pth")
    assert load("made_up_weights/files/some.pth")["weight"].tolist() == [0, 1, 2]


def test_what_is_missing_is_named(package: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"made_up_weights/files/none\.pth does not exist"):
        load("made_up_weights/files/none.pth")
    told = (
        "weights package://no_such_weights/some.pth: package no_such_weights is not installed: "
        "python -m pip install no-such-weights$"
    )
    with pytest.raises(ImportError, match=told):
        load("no_such_weights/some.pth")


def test_code_in_a_file_is_not_run(package: Path) -> None:
    (package / "files/evil.pth").write_bytes(pickle.dumps({"a": Path("x")}))
    with pytest.raises(CheckpointError, match="evil.pth"):
        load("made_up_weights/files/evil.pth")
