"""Checkpoint loading that never runs code from the file.

Upstream: mmengine 0.10.7. Its loaders call `torch.load` without `weights_only`, and for URLs
`torch.hub.load_state_dict_from_url`, whose default is `weights_only=False`. Below torch 2.6 a
checkpoint can therefore run any code when it is opened, and so can a downloaded one with every
torch; from torch 2.6 on, a local file is refused with a page of advice that begins by switching the
safety off.

`install_weights_only_loaders` replaces them. What is refused stays refused: nothing is
allow-listed, because the pickled objects of mmengine's own checkpoints reach `getattr`. Ours hold
plain data instead, see `mmseg_pointrend.engine.plain_checkpoint_hook`.

It can go when mmengine passes `weights_only=True` everywhere.
"""

import functools
import os
import pickle
import re
import shlex
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.dist import get_dist_info
from mmengine.runner import checkpoint as mmengine_checkpoint

from mmseg_pointrend.compat.safetensors_files import is_safetensors, read_safetensors

MapLocation = str | torch.device | dict[str, str] | Callable[..., Any] | None

# Both environment variables are torch's own (torch/serialization.py, torch.load).
_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_FORCE_NO = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"

# How torch 2.1 to 2.13 word a refusal (torch/_weights_only_unpickler.py).
_REFUSED = re.compile(
    r"(?:GLOBAL|[Uu]nsupported class|unrecognized function|but got)\s+(?:<\w+ )?\'?([\w.]+)"
)
# How torch words a file that is not, or no longer, what torch.save wrote.
_DAMAGED = re.compile(r"PytorchStreamReader|unexpected EOF|Invalid magic number|corrupt", re.I)


class CheckpointError(ValueError):
    """A checkpoint that cannot be loaded."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint that holds more than plain data, which opening it would execute."""


class DamagedCheckpointError(CheckpointError):
    """A file that is not a checkpoint, or only the beginning of one."""


class DownloadError(ConnectionError):
    """Weights that cannot be downloaded."""


def install_weights_only_loaders() -> None:
    """Make every way in which mmengine loads a checkpoint pass `weights_only=True`.

    Replaces the loaders of local files and of URLs, under the names the `torchvision://`,
    `open-mmlab://` and `mmcls://` loaders call too. Other loaders of mmengine's own call
    `torch.load` themselves; they run with torch's switch that forces `weights_only`. Loaders
    registered by others are left alone. Safe to call any number of times.
    """
    loader = mmengine_checkpoint.CheckpointLoader
    for prefix, load in list(loader._schemes.items()):
        if load.__module__ == mmengine_checkpoint.__name__ and not hasattr(load, "__wrapped__"):
            loader.register_scheme(prefix, _force_weights_only(load), force=True)
    loader.register_scheme("", load_from_local, force=True)
    loader.register_scheme(("http://", "https://"), load_from_http, force=True)
    mmengine_checkpoint.load_from_local = load_from_local
    mmengine_checkpoint.load_from_http = load_from_http


# CheckpointLoader logs the name of the loader without its first ten letters ("load_from_").
def load_from_local(filename: str | os.PathLike, map_location: MapLocation = None) -> Any:
    """Load a checkpoint file; `~` is expanded.

    Args:
        filename: the file that `torch.save` wrote; or one of safetensors, by its ending.
        map_location: as for `torch.load`; what is in a file of safetensors comes to the CPU.

    Returns:
        what was saved, usually a dict.

    Raises:
        FileNotFoundError: if there is no such file.
        UnsafeCheckpointError: if the file holds more than tensors and plain Python data.
        DamagedCheckpointError: if the file is not a complete checkpoint.
        CheckpointError: if it holds something else than a dict, or more than the memory takes.
    """
    path = Path(filename).expanduser()
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder; name the checkpoint file in it.")
    if not path.is_file():
        raise FileNotFoundError(f"Checkpoint file {path} does not exist.")
    if is_safetensors(path):
        return read_safetensors(path)
    _check_container(path)
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except MemoryError:
        raise CheckpointError(f"{path} asks for more memory than there is.") from None
    except pickle.UnpicklingError as error:
        # "from None" here and below: torch's own text advises to switch the safety off.
        raise _explain_refusal(str(path), str(error)) from None
    except (EOFError, LookupError, UnicodeDecodeError, struct.error) as error:
        raise _explain_damage(path, type(error).__name__) from None
    except RuntimeError as error:
        if "weights_only=True" in str(error):
            raise _refuse_program(path) from None
        if _DAMAGED.search(str(error)):
            raise _explain_damage(path, str(error).partition("\n")[0]) from None
        # Among the rest: weights saved on CUDA without map_location, which torch explains well.
        raise
    _check_contents(path, checkpoint)
    return checkpoint


def load_from_http(
    filename: str,
    map_location: MapLocation = None,
    model_dir: str | os.PathLike | None = None,
    progress: bool | None = None,
) -> Any:
    """Download a checkpoint once and load it from the cache.

    In distributed training rank 0 downloads; other ranks download only when they do not see its
    file, that is, on other machines.

    Args:
        filename: an `http://` or `https://` address whose path ends in a file name.
        map_location: as for `torch.load`.
        model_dir: the cache; default: where `torch.hub` keeps checkpoints.
        progress: whether to show a progress bar; default: when the output is a terminal.

    Returns:
        what was saved, usually a dict.

    Raises:
        ValueError: if the address names no file.
        DownloadError: if the download fails.
        UnsafeCheckpointError: if the file holds more than tensors and plain Python data.
        DamagedCheckpointError: if the file is not a complete checkpoint.
    """
    name = os.path.basename(urlparse(filename).path)
    if not name:
        raise ValueError(f"The address of a checkpoint must end in a file name, got {filename!r}.")
    if model_dir is None:
        folder = Path(torch.hub.get_dir(), "checkpoints")
    else:
        folder = Path(model_dir).expanduser()
    cached = folder / name
    rank, world_size = get_dist_info()
    try:
        if rank == 0:
            _download(filename, cached, progress)
    finally:
        # Also after a failure, or the other ranks wait for rank 0 until they time out.
        if world_size > 1:
            torch.distributed.barrier()
    if rank > 0:
        _download(filename, cached, progress)
    return load_from_local(cached, map_location)


def _download(url: str, cached: Path, progress: bool | None) -> None:
    """Write `url` to `cached` unless the file is there.

    Raises:
        DownloadError: if the download fails.
    """
    if cached.is_file():
        return
    cached.parent.mkdir(parents=True, exist_ok=True)
    if progress is None:
        progress = os.isatty(2)
    try:
        # Writes to a temporary name and moves it, so a broken download leaves no broken cache.
        torch.hub.download_url_to_file(url, str(cached), progress=progress)
    except OSError as error:
        raise DownloadError(
            f"Cannot download {url} to {cached}: {error}; without a network, put the file there"
        ) from error


def _force_weights_only(load: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap one of mmengine's loaders so that its own `torch.load` is a safe one."""

    @functools.wraps(load)
    def load_weights_only(filename: str, *args: Any, **kwargs: Any) -> Any:
        try:
            with _weights_only_forced():
                return load(filename, *args, **kwargs)
        except pickle.UnpicklingError as error:
            raise _explain_refusal(filename, str(error)) from None

    return load_weights_only


@contextmanager
def _weights_only_forced() -> Iterator[None]:
    """Set the environment variable that makes a bare `torch.load` pass `weights_only=True`."""
    before = {name: os.environ.pop(name, None) for name in (_FORCE, _FORCE_NO)}
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        del os.environ[_FORCE]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _check_container(path: Path) -> None:
    """Check that `path` looks like what `torch.save` writes.

    Without this, a stray file is read as a stream of pickle instructions and fails in as many ways
    as there are files.

    Raises:
        UnsafeCheckpointError: if it is a TorchScript program.
        DamagedCheckpointError: if it is anything else.
    """
    with path.open("rb") as file:
        start = file.read(2)
    if start[:1] == b"\x80":
        # A pickle: what torch.save wrote before torch 1.6.
        return
    if start != b"PK":
        raise _explain_damage(path, f"it starts with {start!r}" if start else "it is empty")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.rpartition("/")[2] for name in archive.namelist()}
            unpacked = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        raise _explain_damage(path, "its end is missing") from None
    if "constants.pkl" in members:
        raise _refuse_program(path)
    if "data.pkl" not in members:
        raise _explain_damage(path, "a zip archive of something else")
    # torch.save does not compress: what grows when it is opened may grow without an end.
    if unpacked > path.stat().st_size:
        raise UnsafeCheckpointError(
            f"{path} ({path.stat().st_size} bytes) unpacks to {unpacked} bytes; torch.save writes "
            "nothing compressed. Write it anew with torch.save, if you trust its source."
        )


def _check_contents(path: Path, checkpoint: Any) -> None:
    """Check that a file holds a dict, and in it one of weights.

    Raises:
        CheckpointError: if it does not.
    """
    for name, value in (("it", checkpoint), ("its state_dict", _state_dict(checkpoint))):
        if not isinstance(value, dict):
            raise CheckpointError(
                f"{path} is no checkpoint of a model: {name} is a {type(value).__name__}, not a "
                "dict of names and tensors."
            )


def _state_dict(checkpoint: Any) -> Any:
    return checkpoint.get("state_dict", {}) if isinstance(checkpoint, dict) else {}


def _refuse_program(path: Path) -> UnsafeCheckpointError:
    """Return the error for a file that torch opens by running it, or not at all."""
    return UnsafeCheckpointError(
        f"{path} is an archive that torch does not open as plain weights (TorchScript, or the "
        f"format of torch 0.1). Save the state_dict of its model instead."
    )


def _explain_damage(path: Path, finding: str) -> DamagedCheckpointError:
    """Return the error for a file that is not a complete checkpoint."""
    return DamagedCheckpointError(
        f"{path} ({path.stat().st_size} bytes) is not a complete checkpoint written by torch.save "
        f"({finding}). If it was downloaded or copied, delete it and fetch it again."
    )


def _explain_refusal(filename: str, message: str) -> CheckpointError:
    """Return the error for a file that torch refused with `message`."""
    refused = _find_refused(filename, message)
    if not refused:
        finding = message.rpartition("WeightsUnpickler error: ")[2].strip().partition("\n")[0]
        if _DAMAGED.search(finding) or not zipfile.is_zipfile(filename):
            return DamagedCheckpointError(
                f"{filename} is not a complete checkpoint written by torch.save ({finding})."
            )
        refused = [finding]
    # Quoted for a shell; weights_only=False stands only in what the user runs knowingly.
    command = (
        'python -c "import sys, torch; '
        "c = torch.load(sys.argv[1], map_location='cpu', weights_only=False); "
        "torch.save({'state_dict': c.get('state_dict', c), 'meta': {}}, sys.argv[2])\" "
        f"{shlex.quote(filename)} {shlex.quote(str(Path(filename).stem) + '_weights.pth')}"
    )
    advice = ""
    if any(name.startswith("mmengine.logging.") for name in refused):
        advice = (
            "\nmmengine saved its log in it; with PlainCheckpointHook in custom_hooks "
            "a run writes checkpoints that load and resume."
        )
    return UnsafeCheckpointError(
        f"{filename} holds more than weights and plain data, and opening it could run code; "
        f"refused: {', '.join(refused)}. If you trust its source, write the weights alone to a new "
        f"file (training cannot be resumed from that one):\n  {command}{advice}"
    )


def _find_refused(filename: str, message: str) -> list[str]:
    """Return the pickled globals torch does not accept, from the file or from torch's message."""
    # torch >= 2.6 lists all of them, its message names the first; it reads only zip archives.
    list_unsafe = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)
    if list_unsafe is not None and zipfile.is_zipfile(filename):
        try:
            refused = sorted(list_unsafe(filename))
        except (ValueError, RuntimeError, LookupError, EOFError, pickle.UnpicklingError):
            refused = []
        if refused:
            return refused
    return _REFUSED.findall(message)[:1]
