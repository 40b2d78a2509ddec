"""A real browser without a network: it drops a picture on a page, and tells what came of it."""

import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np

from tests.browsers import find_chromium

#: What a slow machine takes, and more.
MOST_SECONDS = 240
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip

#: Holds the page, drops the picture on it as a user would, and sends the labels home.
_VISITOR = """
<!doctype html>
<iframe src="/page.html"></iframe>
<script>
const frame = document.querySelector("iframe");
const send = (path, body) => fetch(path, { method: "POST", body });
frame.onload = async () => {
  const view = frame.contentWindow, page = frame.contentDocument;
  page.addEventListener("segmented", ({ detail }) =>
    send(`/labels?width=${detail.width}&height=${detail.height}`, detail.labels));
  new view.MutationObserver(() => send("/status", page.getElementById("status").textContent))
    .observe(page.getElementById("status"), { childList: true });
  const transfer = new view.DataTransfer();
  const picture = await (await fetch("/picture")).arrayBuffer();
  transfer.items.add(new view.File([picture], "picture.png", { type: "image/png" }));
  page.dispatchEvent(new view.DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
};
</script>
"""


class Visit:
    """What a page made of a picture.

    Attributes:
        labels: (H, W), uint8.
        said: the lines of its status, as they came.
        asked: paths that were asked for.
    """

    def __init__(self) -> None:
        self.labels: np.ndarray | None = None
        self.said: list[str] = []
        self.asked: list[str] = []
        self.done = threading.Event()

    def take(self, path: str, body: bytes) -> None:
        if path == "/status":
            self.said.append(body.decode())
        else:
            query = parse_qs(urlsplit(path).query)
            height, width = (int(query[name][0]) for name in ("height", "width"))
            self.labels = np.frombuffer(body, np.uint8).reshape(height, width)
        # They come by requests of their own, in any order.
        ended = self.labels is not None and any(" pixels in " in line for line in self.said)
        if ended or any(line.startswith("That did not work") for line in self.said):
            self.done.set()


def visit(page: Path, picture: Path, profile: Path) -> Visit:
    """Open a page, drop a picture on it, and wait for its labels.

    Args:
        page: the file.
        picture: the file.
        profile: an empty folder for the browser.
    """
    found, files = Visit(), {"/page.html": page, "/picture": picture}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            known = self.path == "/" or self.path in files
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            if known:
                path = files.get(self.path)
                self.wfile.write(path.read_bytes() if path else _VISITOR.encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()
            found.take(self.path, body)

        def log_message(self, *_: object) -> None:
            pass

    with _serving(Handler) as address, _browsing(profile, address):
        assert found.done.wait(MOST_SECONDS), f"no labels after {MOST_SECONDS} s: {found.said}"
    return found


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _browsing(profile: Path, address: str):
    command = [find_chromium(), *_FLAGS, f"--user-data-dir={profile}", address]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def dump(path: Path, profile: Path) -> str:
    """Open a file from the disk, and give the text of the page after its scripts have run."""
    command = [find_chromium(), *_FLAGS, f"--user-data-dir={profile}"]
    command += ["--virtual-time-budget=60000", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_SECONDS)
    return done.stdout
