"""Pages: what is in them, and what a real browser without a network makes of a picture."""

import base64
import gzip
import json
import re
import shutil
import stat
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmseg_pointrend.export import page_file
from mmseg_pointrend.export.agreement import undecided
from mmseg_pointrend.export.labels import GraphSettings, LabelGraph
from mmseg_pointrend.export.page_file import (
    Runtime,
    check_page,
    fetch_runtime,
    read_runtime,
    write_page,
)
from mmseg_pointrend.export.pictures import PictureFormat
from mmseg_pointrend.export.tracing import Sizes, example
from tests.export.browser import dump, find_chromium, visit

METADATA = dict(
    model="small <b>",
    classes=json.dumps(["road", "</script>", "sky"]),
    palette=json.dumps([[0, 0, 9], [1, 2, 3], [9, 9, 9], [7, 7, 7], [5, 5, 5]]),
    pictures=json.dumps(dict(shape=["batch", 3, "height", "width"])),
)


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """onnxruntime-web, which npm fetches or has in its cache."""
    find_chromium()
    try:
        return fetch_runtime()
    except (ImportError, ConnectionError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def page(onnx_path: Path, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (path,) = write_page(onnx_path, folder / "small.html", METADATA, runtime)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 96), (131, 45)])
def test_a_browsers_labels_are_those_of_torch(
    page: Path, graph: LabelGraph, tmp_path: Path, size: tuple[int, int]
) -> None:
    pictures = example(graph, (1, *size))
    Image.fromarray(pictures[0].permute(1, 2, 0).numpy()).save(tmp_path / "picture.png")
    found = visit(page, tmp_path / "picture.png", tmp_path / "profile")
    assert found.labels is not None, found.said
    with torch.no_grad():
        labels = graph(pictures)[0][0]
        unclear = undecided(graph, pictures)[0]
    differs = torch.from_numpy(found.labels.copy()) != labels
    assert len(labels.unique()) == 5
    assert not (differs & ~unclear).any() and differs.float().mean() < 1e-3
    assert any(line.startswith(f"{size[1]} × {size[0]} pixels in ") for line in found.said)
    assert {*found.asked} <= {"/", "/page.html", "/picture", "/favicon.ico"}


@pytest.mark.slow
def test_what_is_no_picture_is_said(page: Path, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_text("no picture")
    found = visit(page, tmp_path / "picture.png", tmp_path / "profile")
    assert found.labels is None
    assert any(line.startswith("That did not work: ") for line in found.said)


@pytest.mark.slow
def test_it_opens_from_a_disk(page: Path, tmp_path: Path) -> None:
    text = dump(page, tmp_path / "profile")
    assert "Ready. Pictures stay on this computer." in text


def test_all_is_in_the_page(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/model.onnx").write_bytes(b"model @title@")
    for name in ("a.html", "b.html"):
        write_page(tmp_path / "in/model.onnx", tmp_path / name, METADATA, Runtime(b"js", b"wasm"))
    text = (tmp_path / "a.html").read_text("utf-8")
    assert text == (tmp_path / "b.html").read_text("utf-8")
    assert "<title>small &lt;b&gt;</title>" in text and "connect-src" not in text
    parts = dict(re.findall(r'<script type="[\w/]+" id="(\w+)">(.*?)</script>', text))
    assert json.loads(parts.pop("description"))["classes"] == ["road", "</script>", "sky"]
    unpacked = {name: gzip.decompress(base64.b64decode(part)) for name, part in parts.items()}
    assert unpacked == dict(runtime=b"js", wasm=b"wasm", model=b"model @title@")
    assert not re.search(r'(?:src|href)="(?!")|https?://', text)


def test_a_model_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_file, "_MOST_BYTES", 10)
    (tmp_path / "model.onnx").write_bytes(b"few")
    (tmp_path / "model.onnx.data").write_bytes(b"many more")
    with pytest.raises(ValueError, match="more than browsers take in a page"):
        write_page(tmp_path / "model.onnx", tmp_path / "a.html", METADATA, Runtime(b"", b""))


@pytest.mark.parametrize(
    ("settings", "sizes", "message"),
    [
        (GraphSettings(PictureFormat(order="bgr")), Sizes(), "uint8, red first; leave order"),
        (GraphSettings(), Sizes(batch=2), "batch must be 1, got 2"),
    ],
)
def test_graphs_that_a_page_cannot_use(settings, sizes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_page(settings, sizes)


def test_the_runtime_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"is not onnxruntime-web@.*: there is no dist/ort"):
        read_runtime(tmp_path)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/ort.wasm.bundle.min.mjs").write_bytes(b"js")
    (tmp_path / "dist/ort-wasm-simd-threaded.wasm").write_bytes(b"wasm")
    assert read_runtime(tmp_path) == Runtime(b"js", b"wasm")


def test_without_npm_the_line_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ImportError, match=r"apt install nodejs npm\), or give the folder"):
        fetch_runtime()
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network' >&2\nexit 1\n")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(shutil, "which", lambda name: str(npm))
    with pytest.raises(ConnectionError, match="npm does not get .*: npm error network; give"):
        fetch_runtime()
