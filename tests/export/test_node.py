"""The example for Node.js: its labels are those of Python."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_pointrend.export.agreement import undecided
from mmseg_pointrend.export.labels import LabelGraph
from mmseg_pointrend.export.tracing import example

EXAMPLE = Path(__file__).parents[2] / "examples/node"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, with the packages that it needs, which npm fetches or has in its cache."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no Node.js: on Debian, apt install nodejs npm")
    folder = tmp_path_factory.mktemp("node")
    for file in EXAMPLE.iterdir():
        shutil.copy(file, folder)
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm install in examples/node: {done.stderr.strip().splitlines()[:1]}")
    return folder


def segment(folder: Path, *arguments: object) -> subprocess.CompletedProcess:
    command = ["node", "segment.mjs", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_labels_are_those_of_torch(
    folder: Path, onnx_path: Path, graph: LabelGraph, tmp_path: Path
) -> None:
    pictures = example(graph, (1, 67, 131))
    picture, out = tmp_path / "picture.png", tmp_path / "labels.png"
    Image.fromarray(pictures[0].permute(1, 2, 0).numpy()).save(picture)
    done = segment(folder, onnx_path, picture, out)
    assert done.stdout.startswith("131 x 67 pixels in "), done.stderr
    found = Image.open(out)
    assert found.mode == "L"
    with torch.no_grad():
        labels = graph(pictures)[0][0]
        unclear = undecided(graph, pictures)[0]
    differs = torch.from_numpy(np.array(found)) != labels
    assert len(labels.unique()) == 5
    assert not (differs & ~unclear).any() and differs.float().mean() < 1e-3


@pytest.mark.slow
def test_it_says_how_it_is_called(folder: Path) -> None:
    done = segment(folder, "model.onnx")
    assert done.returncode == 2 and done.stderr.startswith("usage: node segment.mjs MODEL.onnx")


def test_packages_are_pinned() -> None:
    package = json.loads((EXAMPLE / "package.json").read_text("utf-8"))
    assert package["dependencies"].keys() == {"onnxruntime-web", "sharp"}
    assert all(version[0].isdigit() for version in package["dependencies"].values())
