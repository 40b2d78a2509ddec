"""A model in a page for browsers: one HTML file that needs no network and no server."""

import base64
import gzip
import html
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mmseg_pointrend.compat.whole_files import whole_file
from mmseg_pointrend.export.labels import GraphSettings
from mmseg_pointrend.export.pictures import PictureFormat
from mmseg_pointrend.export.tracing import Sizes

#: The release of npm's onnxruntime-web that pages are made with.
RUNTIME = "onnxruntime-web@1.30.0"
_SCRIPT, _WASM = "dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"
_TEMPLATE = Path(__file__).with_name("page.html")
#: Bytes of a model that browsers take as a part of a page.
_MOST_BYTES = 250_000_000


class Runtime(NamedTuple):
    """What runs a model in a browser.

    Attributes:
        script: a module of JavaScript.
        wasm: the WebAssembly program that it starts.
    """

    script: bytes
    wasm: bytes


def check_page(settings: GraphSettings, sizes: Sizes) -> None:
    """Raise ValueError for a graph that a page cannot give pictures to."""
    if settings.pictures != PictureFormat():
        raise ValueError(
            "a page gives the model pictures of uint8, red first; leave order, pixels and "
            "normalized out"
        )
    if sizes.batch not in (None, 1):
        raise ValueError(
            f"a page segments one picture at a time; batch must be 1, got {sizes.batch}"
        )


def read_runtime(folder: str | Path) -> Runtime:
    """Take the runtime from a folder.

    Args:
        folder: of npm's onnxruntime-web, such as node_modules/onnxruntime-web.

    Raises:
        FileNotFoundError: if it is not there.
    """
    for name in (_SCRIPT, _WASM):
        if not Path(folder, name).is_file():
            raise FileNotFoundError(f"runtime {folder} is not {RUNTIME}: there is no {name} in it")
    return Runtime(*(Path(folder, name).read_bytes() for name in (_SCRIPT, _WASM)))


def fetch_runtime() -> Runtime:
    """Fetch the runtime by npm, which keeps it in a cache of its own.

    Raises:
        ImportError: without npm.
        ConnectionError: if npm does not get it.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise ImportError(
            f"a page needs {RUNTIME}, which npm fetches: install Node.js (on Debian: apt install "
            "nodejs npm), or give the folder of the package (--runtime)"
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", RUNTIME, "--loglevel=error", f"--pack-destination={folder}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            first = next(iter(done.stderr.strip().splitlines()), f"status {done.returncode}")
            raise ConnectionError(
                f"npm does not get {RUNTIME}: {first}; give the folder of the package (--runtime)"
            )
        with tarfile.open(archives[0]) as archive:
            files = (archive.extractfile(f"package/{name}") for name in (_SCRIPT, _WASM))
            return Runtime(*(file.read() for file in files if file is not None))


def write_page(
    model: str | Path, path: str | Path, metadata: Mapping[str, str], runtime: Runtime
) -> list[Path]:
    """Write a page that takes pictures and shows their labels; it appears when it is complete.

    Args:
        model: an ONNX file, alone in its folder.
        path: where the page goes.
        metadata: of the model, see `description.describe`.
        runtime: what runs it.

    Returns:
        the one file.

    Raises:
        ValueError: for a model that is too large for a page.
        OSError: if the file cannot be written.
    """
    files = Path(model).parent.glob(f"{Path(model).name}*")  # weights may lie beside it
    size = sum(file.stat().st_size for file in files)
    if size > _MOST_BYTES:
        raise ValueError(
            f"the model has {size / 1e6:.0f} MB, more than browsers take in a page "
            f"({_MOST_BYTES / 1e6:.0f} MB); take an ONNX file"
        )
    description = dict(
        classes=json.loads(metadata["classes"]),
        palette=json.loads(metadata["palette"]),
        shape=json.loads(metadata["pictures"])["shape"],
    )
    parts = dict(
        title=html.escape(metadata["model"]),
        # A name of a class must not end the script.
        description=json.dumps(description).replace("<", "\\u003c"),
        runtime=_packed(runtime.script),
        wasm=_packed(runtime.wasm),
        model=_packed(Path(model).read_bytes()),
    )
    page = re.sub("@([a-z]+)@", lambda mark: parts[mark[1]], _TEMPLATE.read_text("utf-8"))
    with whole_file(path) as file:
        file.write(page.encode())
    return [Path(path)]


def _packed(content: bytes) -> str:
    """Compress bytes, and write them as letters; the same ones every time."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")
