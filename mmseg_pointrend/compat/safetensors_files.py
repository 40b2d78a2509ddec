"""Checkpoints as safetensors: tensors and text, in a format that cannot hold code.

Upstream: mmengine 0.10.7 reads and writes what `torch.save` writes, and nothing else. The package
`safetensors` is optional: it is asked for where such a file is met. What is no tensor of a
checkpoint stands in the file's metadata, as JSON. It can go when mmengine reads such files.
"""

import json
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

ENDING = ".safetensors"
#: Under this key the file's metadata hold a checkpoint's `meta`.
_META_KEY = "mmseg_pointrend.meta"


def is_safetensors(path: str | Path) -> bool:
    """Whether a file's name says that it is one."""
    return Path(path).suffix.lower() == ENDING


def read_safetensors(path: Path) -> dict[str, Any]:
    """Read a checkpoint, on the CPU.

    Args:
        path: the file, of this project or of another.

    Returns:
        `state_dict` and `meta`; the latter is empty in files of other projects.

    Raises:
        ImportError: if safetensors is not installed.
        ValueError: if the file is damaged, or something else.
    """
    library = _import_library()
    try:
        with library.safe_open(path, framework="pt", device="cpu") as file:
            meta = json.loads((file.metadata() or {}).get(_META_KEY, "{}"))
            return dict(state_dict={name: file.get_tensor(name) for name in file.keys()}, meta=meta)
    except (library.SafetensorError, struct.error, ValueError) as error:
        raise ValueError(
            f"{path} is no complete file of safetensors ({error}). If it was downloaded or copied, "
            "delete it and fetch it again."
        ) from error


def safetensors_bytes(weights: dict[str, Any], meta: dict[str, Any]) -> bytes:
    """Lay a checkpoint out as such a file.

    Args:
        weights: names and tensors, which share no memory.
        meta: what JSON can hold.

    Raises:
        ImportError: if safetensors is not installed.
    """
    _import_library()
    from safetensors.torch import save

    # One key: the library writes several in an order that changes, and equal weights would have
    # other checksums.
    return save(weights, {_META_KEY: json.dumps(meta)})


def _import_library() -> ModuleType:
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            f"files of safetensors need the package: python -m pip install safetensors ({error})"
        ) from error
    return safetensors
