"""Opening pickles of numpy arrays without running what is in them.

Upstream: detectron2 publishes its weights as pickles of dicts of arrays. `pickle.load` runs any
code that such a file names; here the unpickler knows arrays, and refuses everything else.

It can go when detectron2's weights are published in another form.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_pointrend.compat.checkpoints import DamagedCheckpointError, UnsafeCheckpointError


def load_arrays(path: str | Path) -> Any:
    """Open a pickle of plain data and numpy arrays of numbers.

    Args:
        path: a local file.

    Returns:
        what is in it.

    Raises:
        FileNotFoundError: if there is no such file.
        UnsafeCheckpointError: if it names anything else; nothing of it is run.
        DamagedCheckpointError: if it is no pickle.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"weights {path} do not exist")
    with path.open("rb") as file:
        try:
            return _Unpickler(file, encoding="latin1").load()
        except UnsafeCheckpointError as error:
            raise UnsafeCheckpointError(f"weights {path} are refused: {error}") from error
        except Exception as error:  # whatever bytes that are no pickle lead to
            raise DamagedCheckpointError(
                f"weights {path} are no pickle of arrays, or only a part of one ({error})"
            ) from error


class _Unpickler(pickle.Unpickler):
    """Knows what arrays are made of."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Find what a pickle names, in a short list."""
        found = _KNOWN.get((module.replace("numpy._core", "numpy.core"), name))
        if found is None:
            raise UnsafeCheckpointError(f"they hold {module}.{name}, and not arrays alone")
        return found

    def persistent_load(self, pid: Any) -> Any:
        """Refuse objects that lie elsewhere."""
        raise UnsafeCheckpointError("they refer to objects outside of the file")


class _Array(np.ndarray):
    """An array that is being unpickled: its elements may be numbers, and nothing else."""

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state[2], np.dtype) or state[2].kind not in "biufc":
            raise UnsafeCheckpointError(f"they hold arrays of {state[2]}, and not of numbers")
        super().__setstate__(state)


def _make_array(kind: Any, shape: Any, typecode: Any) -> np.ndarray:
    return np.ndarray.__new__(_Array, (0,), np.uint8)


def _make_scalar(dtype: Any, content: Any = None) -> Any:
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biufc":
        raise UnsafeCheckpointError(f"they hold a scalar of {dtype}, and not a number")
    return np.frombuffer(_bytes_of(content), dtype, count=1)[0]


def _bytes_of(text: Any, encoding: Any = "latin1") -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("latin1")


#: What arrays are pickled as, by all protocols and releases of numpy.
_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _make_array,
    ("numpy.core.multiarray", "scalar"): _make_scalar,
    ("numpy.core.numeric", "_frombuffer"): lambda buffer, dtype, shape, order: np.frombuffer(
        buffer, dtype
    ).reshape(shape, order=order),
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _bytes_of,
    ("collections", "OrderedDict"): OrderedDict,
    # Of no bytes, in old protocols.
    ("__builtin__", "bytes"): lambda: b"",
}
