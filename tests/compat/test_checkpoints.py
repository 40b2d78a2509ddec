"""Loading checkpoints: what is refused, and what the user reads then."""

import functools
import http.server
import importlib
import os
import pickle
import re
import shlex
import subprocess
import sys
import threading
import zipfile

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint

from mmseg_pointrend.compat import checkpoints, setup
from mmseg_pointrend.compat.checkpoints import (
    CheckpointError,
    DamagedCheckpointError,
    UnsafeCheckpointError,
    load_from_http,
    load_from_local,
)


@pytest.fixture(autouse=True)
def installed():
    setup()


class Payload:
    """Creates a file when it is unpickled: what a malicious checkpoint could do."""

    def __init__(self, marker) -> None:
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, "w")


WEIGHTS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def save(path, zipped: bool = True, **extra):
    torch.save(
        {"state_dict": WEIGHTS, "meta": {"epoch": 1}, **extra},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    return path


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_plain_checkpoints_load(tmp_path, zipped):
    loaded = CheckpointLoader.load_checkpoint(str(save(tmp_path / "a.pth", zipped)))
    assert loaded["meta"] == {"epoch": 1}
    assert torch.equal(loaded["state_dict"]["weight"], WEIGHTS["weight"])


def test_mmengine_loads_weights_into_a_model_through_it(tmp_path):
    model = torch.nn.Linear(3, 2)
    load_checkpoint(model, str(save(tmp_path / "a.pth")), map_location="cpu")
    assert torch.equal(model.weight, WEIGHTS["weight"])


def test_home_is_expanded_and_map_location_passed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "a.pth")
    loaded = load_from_local("~/a.pth", map_location="meta")
    assert loaded["state_dict"]["weight"].device.type == "meta"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, zipped):
    path = save(tmp_path / "a.pth", zipped, extra=Payload(tmp_path / "ran"))
    with pytest.raises(UnsafeCheckpointError, match=r"a\.pth holds more than.*open") as error:
        CheckpointLoader.load_checkpoint(str(path))
    assert not (tmp_path / "ran").exists()
    assert isinstance(error.value, ValueError)
    # torch's own text begins by advising weights_only=False; ours names it in a command only.
    assert error.value.__suppress_context__


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_the_message_names_what_was_refused_and_how_to_avoid_it(tmp_path, zipped):
    path = save(tmp_path / "a.pth", zipped, hub=HistoryBuffer([1.0], [1]))
    with pytest.raises(UnsafeCheckpointError) as error:
        load_from_local(path)
    assert "mmengine.logging.history_buffer.HistoryBuffer" in str(error.value)
    assert "PlainCheckpointHook" in str(error.value)


@pytest.mark.parametrize(
    "text, name",
    [
        ("WeightsUnpickler error: Unsupported class os.system", "os.system"),  # torch 2.1
        ("Trying to instantiate unsupported class <class 'a.B'>", "a.B"),  # torch 2.1
        ("Unsupported global: GLOBAL a.b.C was not an allowed global by default.", "a.b.C"),
        ("Trying to load unsupported GLOBAL posix.system whose module", "posix.system"),
        ("Trying to call reduce for unrecognized function <function f at 0x1>", "f"),
        ("Can only build Tensor, Parameter, OrderedDict, but got <class 'a.B'>", "a.B"),
    ],
)
def test_the_wordings_of_different_torch_releases_are_understood(text, name):
    assert checkpoints._find_refused("missing.pth", text) == [name]


def test_the_advised_command_extracts_the_weights(tmp_path):
    path = save(tmp_path / "it's a run.pth", hub=HistoryBuffer([1.0], [1]))
    with pytest.raises(UnsafeCheckpointError) as error:
        load_from_local(path)
    (line,) = re.findall(r"^  (python .*)$", str(error.value), re.MULTILINE)
    command = shlex.split(line)
    assert command[0] == "python"
    subprocess.run([sys.executable, *command[1:]], check=True, cwd=tmp_path, timeout=600)
    loaded = load_from_local(tmp_path / command[-1])
    assert torch.equal(loaded["state_dict"]["weight"], WEIGHTS["weight"])


def test_nothing_was_allow_listed(tmp_path):
    with pytest.raises(pickle.UnpicklingError):
        torch.load(save(tmp_path / "a.pth", hub=HistoryBuffer([1.0], [1])), weights_only=True)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_says_so_in_one_line(tmp_path, zipped, part):
    whole = save(tmp_path / "whole.pth", zipped).read_bytes()
    path = tmp_path / "part.pth"
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(DamagedCheckpointError, match="part.pth .*not a complete") as error:
        load_from_local(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [b"<!DOCTYPE html><html>", b"hello world", b"\x80\x02.", b"\x80\x02}q\x00", b"\x89PNG"],
)
def test_a_file_of_another_kind_says_so_in_one_line(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match="a.pth .*not a complete") as error:
        load_from_local(path)
    assert "\n" not in str(error.value)


def test_a_zip_archive_of_another_kind_says_so_in_one_line(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DamagedCheckpointError, match="not a complete") as error:
        load_from_local(path)
    assert "\n" not in str(error.value)


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.module, self.name, self.arguments = module, name, arguments

    def __reduce__(self):
        return getattr(importlib.import_module(self.module), self.name), self.arguments


# Ways to a file named "executed", and ways to other harm; {} stands for its path.
CALLS = [
    ("os", "system", "touch {}"),
    ("os", "mkdir", "{}"),
    ("os", "putenv", "EXECUTED", "1"),
    ("os", "remove", "{}"),
    ("subprocess", "Popen", ["touch", "{}"]),
    ("subprocess", "check_output", ["touch", "{}"]),
    ("subprocess", "run", ["touch", "{}"]),
    ("builtins", "eval", "open({!r}, 'w')"),
    ("builtins", "exec", "open({!r}, 'w')"),
    ("builtins", "compile", "open({!r}, 'w')", "a", "exec"),
    ("builtins", "getattr", "{}", "upper"),
    ("builtins", "__import__", "antigravity"),
    ("builtins", "setattr", "{}", "a", 1),
    ("builtins", "open", "{}", "w"),
    ("importlib", "import_module", "this"),
    ("runpy", "run_path", "{}"),
    ("shutil", "rmtree", "{}"),
    ("pathlib", "Path", "{}"),
    ("pickle", "loads", b"cos\nsystem\n(S'touch {}'\ntR."),
    ("torch", "load", "{}"),
    ("torch.hub", "load", "a/b", "c"),
    ("torch.serialization", "load", "{}"),
    ("numpy", "load", "{}"),
    ("functools", "partial", print, "{}"),
    ("operator", "attrgetter", "a"),
    ("operator", "methodcaller", "touch"),
    ("code", "interact"),
    ("socket", "create_connection", ("127.0.0.1", 9)),
    ("urllib.request", "urlopen", "file://{}"),
]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]}.{call[1]}")
@pytest.mark.parametrize("key", ["state_dict", "meta"])
def test_no_call_in_a_checkpoint_is_made(tmp_path, call, zipped, key):
    executed = tmp_path / "executed"

    def fill(part):
        if isinstance(part, list):
            return [fill(inner) for inner in part]
        if isinstance(part, bytes):
            return part.replace(b"{}", str(executed).encode())
        return (
            part.replace("{!r}", repr(str(executed))).replace("{}", str(executed))
            if isinstance(part, str)
            else part
        )

    path = tmp_path / "a.pth"
    content = {"state_dict": dict(WEIGHTS), "meta": {}}
    content[key]["x"] = Call(call[0], call[1], *map(fill, call[2:]))
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeCheckpointError, match=r"a.pth holds more than weights"):
        load_from_local(path)
    assert list(tmp_path.iterdir()) == [path] and "EXECUTED" not in os.environ


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        ([1, 2], "it is a list"),
        (torch.ones(2), "it is a Tensor"),
        ("text", "it is a str"),
        (None, "it is a NoneType"),
        ({"state_dict": [1]}, "its state_dict is a list"),
        ({"state_dict": None}, "its state_dict is a NoneType"),
    ],
)
def test_another_type_says_so_in_one_line(tmp_path, content, found, zipped):
    path = tmp_path / "a.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        CheckpointError, match=f"a.pth is no checkpoint of a model: {found}"
    ) as error:
        load_from_local(path)
    assert "\n" not in str(error.value)


def test_an_archive_that_grows_when_it_is_opened_is_refused(tmp_path):
    whole, path = save(tmp_path / "whole.pth"), tmp_path / "bomb.pth"
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
        target.writestr("archive/data/9", bytes(10_000_000))
    with pytest.raises(
        UnsafeCheckpointError, match=r"bomb.pth \(\d+ bytes\) unpacks to 1\d{7} bytes"
    ):
        load_from_local(path)


def test_more_memory_than_there_is_says_so_in_one_line(tmp_path):
    path = tmp_path / "a.pth"
    torch.save(
        {"a": Call("builtins", "bytearray", 2**62)}, path, _use_new_zipfile_serialization=True
    )
    with pytest.raises(CheckpointError) as error:
        load_from_local(path)
    assert str(path) in str(error.value)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.ones(1, 1)), str(path))
    with pytest.raises(UnsafeCheckpointError, match="TorchScript"):
        load_from_local(path)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.pth does not exist"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "missing.pth"))
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load_from_local(tmp_path)


def test_a_wrong_device_keeps_torchs_own_error(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("needs a machine without CUDA")
    with pytest.raises(RuntimeError, match="CUDA") as error:
        load_from_local(save(tmp_path / "a.pth"), map_location="cuda")
    assert not isinstance(error.value, ValueError)


@pytest.fixture
def server(tmp_path):
    """Serve a folder over http; yields the folder, its address and the paths asked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
    )
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{httpd.server_port}", asked
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def hub_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_url_is_downloaded_once_into_torchs_cache(server, hub_dir):
    folder, url, asked = server
    save(folder / "a.pth")
    for _ in range(2):
        loaded = CheckpointLoader.load_checkpoint(f"{url}/a.pth?download=1", map_location="cpu")
        assert torch.equal(loaded["state_dict"]["weight"], WEIGHTS["weight"])
    assert asked == ["/a.pth?download=1"]
    assert (hub_dir / "checkpoints" / "a.pth").is_file()


def test_code_in_a_download_is_refused_and_not_run(server, hub_dir, tmp_path):
    folder, url, _ = server
    save(folder / "a.pth", extra=Payload(tmp_path / "ran"))
    with pytest.raises(UnsafeCheckpointError):
        CheckpointLoader.load_checkpoint(f"{url}/a.pth")
    assert not (tmp_path / "ran").exists()


def test_a_failed_download_names_the_address_and_leaves_nothing(server, tmp_path):
    _, url, _ = server
    with pytest.raises(ConnectionError, match=r"Cannot download http://.*/b\.pth.*404"):
        load_from_http(f"{url}/b.pth", model_dir=tmp_path / "cache", progress=False)
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_address_without_a_file_name_is_an_error(server):
    with pytest.raises(ValueError, match="must end in a file name"):
        load_from_http(server[1] + "/")


def test_mmengines_named_models_go_through_the_same_door(server, hub_dir, tmp_path, monkeypatch):
    folder, url, _ = server
    save(folder / "a.pth", extra=Payload(tmp_path / "ran"))
    monkeypatch.setattr(
        mmengine_checkpoint, "get_external_models", lambda: {"remote": f"{url}/a.pth"}
    )
    with pytest.raises(UnsafeCheckpointError):
        CheckpointLoader.load_checkpoint("open-mmlab://remote")
    assert not (tmp_path / "ran").exists()


def test_loaders_that_call_torch_load_themselves_are_forced(tmp_path, monkeypatch):
    # open-mmlab:// names can stand for local files, which that loader opens by itself. torch's
    # opposite switch, which decides for a bare torch.load, must not reopen the door.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    save(tmp_path / "a.pth", extra=Payload(tmp_path / "ran"))
    monkeypatch.setattr(mmengine_checkpoint, "_get_mmengine_home", lambda: str(tmp_path))
    monkeypatch.setattr(mmengine_checkpoint, "get_external_models", lambda: {"local": "a.pth"})
    with pytest.raises(UnsafeCheckpointError):
        CheckpointLoader.load_checkpoint("open-mmlab://local")
    assert not (tmp_path / "ran").exists()
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_the_switch_is_on_while_such_a_loader_runs_and_back_afterwards(monkeypatch):
    # What torch below 2.6, whose default is the unsafe one, goes by.
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0")
    seen = []
    load = checkpoints._force_weights_only(
        lambda filename: seen.append(dict(os.environ)) or {}["missing"]
    )
    with pytest.raises(KeyError):
        load("s3://a.pth")
    assert seen[0]["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in seen[0]
    assert os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "0"


def test_other_ranks_wait_and_download_only_what_they_do_not_see(server, tmp_path, monkeypatch):
    folder, url, asked = server
    save(folder / "a.pth")
    waited = []
    monkeypatch.setattr(checkpoints, "get_dist_info", lambda: (1, 2))
    monkeypatch.setattr(torch.distributed, "barrier", lambda: waited.append(list(asked)))
    load_from_http(f"{url}/a.pth", model_dir=tmp_path, progress=False)
    assert waited == [[]]
    assert asked == ["/a.pth"]


def test_rank_0_reaches_the_barrier_when_its_download_fails(server, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(checkpoints, "get_dist_info", lambda: (0, 2))
    monkeypatch.setattr(torch.distributed, "barrier", lambda: waited.append(True))
    with pytest.raises(ConnectionError):
        load_from_http(f"{server[1]}/b.pth", model_dir=tmp_path, progress=False)
    assert waited == [True]


def test_installing_again_changes_nothing_and_leaves_other_loaders_alone(monkeypatch):
    def load_from_elsewhere(filename, map_location=None):
        return {}

    monkeypatch.setattr(CheckpointLoader, "_schemes", dict(CheckpointLoader._schemes))
    CheckpointLoader.register_scheme("elsewhere://", load_from_elsewhere)
    before = dict(CheckpointLoader._schemes)
    checkpoints.install_weights_only_loaders()
    assert dict(CheckpointLoader._schemes) == before
    assert before["elsewhere://"] is load_from_elsewhere
    assert before[""] is mmengine_checkpoint.load_from_local is load_from_local
    assert before["https://"] is mmengine_checkpoint.load_from_http is load_from_http
