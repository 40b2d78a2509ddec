"""Turning what mmengine puts into a checkpoint into tensors and plain data, and back.

Upstream: mmengine 0.10.7. It saves the message hub's log as pickled `HistoryBuffer` objects,
whose pickles name numpy's internals and `getattr`, and lets numpy scalars in (`best_score`).
`torch.load` with `weights_only=True` refuses such a file, so a run could not be resumed from
its own checkpoint.

`make_plain` turns these objects into tagged dicts on the way out, `restore` turns the
dicts back on the way in. The form of a tagged dict is::

    {TAG: 'HistoryBuffer', 'log': an ndarray dict, 'count': an ndarray dict, 'max_length': 1000000}
    {TAG: 'ndarray', 'bytes': uint8 tensor, 'dtype': '<f8', 'shape': (3,)}
    {TAG: 'set', 'value': [1, 2]}      and so for what torch 2.1, the oldest supported, refuses:
                                       frozenset, bytes, complex, torch.device, torch.dtype

It can go, except for `restore` for files written until then, when mmengine saves plain data.

Arrays are stored as their bytes because a checkpoint is loaded onto the training device, and not
every device has every dtype (MPS has no float64, which the log is made of).
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

# No log, config or optimizer state has this key by accident.
TAG = "__mmseg_pointrend_plain__"

# What a handler returns to leave a value out.
LEAVE_OUT = object()

# Called with the path of a value, such as "message_hub.runtime_info.callback", and the value;
# returns what to save instead.
Handler = Callable[[str, Any], Any]

# What torch.load(weights_only=True) accepts from torch 2.1 on (torch/_weights_only_unpickler.py).
_AS_THEY_ARE = (
    *(type(None), bool, int, float, str),
    *(torch.Tensor, torch.nn.Parameter, torch.Size),
)

# For other types, how to make a plain value of one and the other way round.
_TAGGED: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "set": (set, list, set),
    "frozenset": (frozenset, list, frozenset),
    "bytes": (
        bytes,
        lambda value: _make_bytes_tensor(value),
        lambda tensor: tensor.cpu().numpy().tobytes(),
    ),
    "complex": (complex, lambda value: (value.real, value.imag), lambda pair: complex(*pair)),
    "device": (torch.device, str, torch.device),
    "dtype": (
        torch.dtype,
        lambda value: str(value).rpartition(".")[2],
        lambda name: _find_dtype(name),
    ),
}


def make_plain(value: Any, path: str = "value", handler: Handler | None = None) -> Any:
    """Return `value` as tensors and plain Python data; `value` itself is not changed.

    Lists, tuples, dicts and OrderedDicts keep their type, subclasses of them become them. numpy
    scalars become Python numbers, paths become strings, arrays of objects or records become lists.
    HistoryBuffers, other arrays, sets, bytes, complex numbers, devices and dtypes become the tagged
    dicts that `restore` turns back. Plain data comes back as it is.

    Args:
        value: what is to be saved.
        path: what to call `value` in messages.
        handler: asked what to save instead of a value that has no plain form, or that contains
            itself; `LEAVE_OUT` leaves a dict's entry out and puts None in a sequence.

    Returns:
        the plain equivalent.

    Raises:
        TypeError: if something has no plain form and there is no handler; it names the path.
    """
    plain = _make_plain(value, path, handler or _refuse, ())
    return None if plain is LEAVE_OUT else plain


def restore(value: Any) -> Any:
    """Undo `make_plain` for everything that became a tagged dict.

    Args:
        value: what was loaded; dicts and lists in it are changed in place.

    Returns:
        `value`, or the object it stands for.

    Raises:
        ValueError: if a tagged dict is of an unknown kind.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = restore(item)
        return _restore_tagged(value) if TAG in value else value
    if isinstance(value, list):
        value[:] = [restore(item) for item in value]
    elif type(value) is tuple:
        return tuple(restore(item) for item in value)
    return value


def _make_plain(value: Any, path: str, handler: Handler, ancestors: tuple[int, ...]) -> Any:
    """Return the plain form of `value`; `ancestors` are the ids of what contains it."""
    if type(value) in _AS_THEY_ARE:
        return value
    if id(value) in ancestors:
        return handler(path, value)
    inside = (*ancestors, id(value))

    def walk(item: Any, name: Any) -> Any:
        return _make_plain(item, f"{path}.{name}", handler, inside)

    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return {
            TAG: "HistoryBuffer",
            "log": walk(log, "log"),
            "count": walk(count, "count"),
            "max_length": walk(value.max_length, "max_length"),
        }
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject or value.dtype.names:
            return _make_plain(value.tolist(), path, handler, inside)
        return _make_plain_array(value)
    if isinstance(value, dict):
        return _make_plain_dict(value, path, handler, walk)
    if isinstance(value, (list, tuple)):
        items = [walk(item, index) for index, item in enumerate(value)]
        items = [None if item is LEAVE_OUT else item for item in items]
        return items if isinstance(value, list) else tuple(items)
    for kind, (type_, encode, _) in _TAGGED.items():
        if isinstance(value, type_):
            return {TAG: kind, "value": walk(encode(value), kind)}
    plain = _make_plain_scalar(value)
    return handler(path, value) if plain is LEAVE_OUT else plain


def _make_plain_dict(
    value: dict, path: str, handler: Handler, walk: Callable[[Any, Any], Any]
) -> dict:
    """Return a dict, or OrderedDict, of plain keys and values."""
    plain = OrderedDict() if isinstance(value, OrderedDict) else {}
    for key, item in value.items():
        plain_key = walk(key, key)
        try:
            hash(plain_key)
        except TypeError:
            # It is, or holds, a tagged dict, which cannot be a key.
            plain_key = handler(f"{path}.{key}", key)
        plain_item = walk(item, key)
        if plain_key is not LEAVE_OUT and plain_item is not LEAVE_OUT:
            plain[plain_key] = plain_item
    if type(value) is OrderedDict:
        # A model's state_dict keeps the versions of its modules in an attribute, "_metadata".
        plain.__dict__.update(walk(vars(value), "__dict__"))
    return plain


def _make_plain_array(array: np.ndarray) -> dict[str, Any]:
    """Return the tagged dict for an array of numbers, strings or dates."""
    data = _make_bytes_tensor(array.tobytes())
    return {TAG: "ndarray", "bytes": data, "dtype": array.dtype.str, "shape": array.shape}


def _make_bytes_tensor(value: bytes) -> torch.Tensor:
    """Return `value` as a uint8 tensor."""
    # The copy gives torch memory that it may write to.
    return torch.from_numpy(np.frombuffer(value, dtype=np.uint8).copy())


def _find_dtype(name: str) -> torch.dtype:
    """Return the torch dtype called `name`, say "float32"."""
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"The checkpoint names the dtype {name!r}, which torch does not have.")
    return dtype


def _make_plain_scalar(value: Any) -> Any:
    """Return a single value as Python's own type, LEAVE_OUT if there is none."""
    if isinstance(value, torch.Tensor):
        return value.as_subclass(torch.Tensor)
    # The base class's method, because a subclass (an enum) may have its own idea of str().
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, str):
        return str.__str__(value)
    # numpy.floating: numpy.float64 is a float, numpy.float32 and numpy.longdouble are not.
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, (np.integer, np.bool_)):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return LEAVE_OUT


def _restore_tagged(value: dict[str, Any]) -> Any:
    """Return the object a tagged dict, whose values are restored, stands for."""
    kind = value[TAG]
    if kind == "HistoryBuffer":
        return HistoryBuffer(value["log"], value["count"], value["max_length"])
    if kind == "ndarray":
        data = value["bytes"].cpu().numpy().tobytes()
        array = np.frombuffer(data, dtype=np.dtype(value["dtype"]))
        # The copy makes it writable, as it was.
        return array.reshape(value["shape"]).copy()
    if kind in _TAGGED:
        _, _, decode = _TAGGED[kind]
        return decode(value["value"])
    raise ValueError(
        f"The checkpoint holds {TAG}={kind!r}; known are HistoryBuffer, ndarray, "
        f"{', '.join(_TAGGED)}. Was it written by a newer mmseg_pointrend?"
    )


def _refuse(path: str, value: Any) -> Any:
    """Raise for a value that has no plain form."""
    raise TypeError(f"{path} ({name_type(value)}) cannot be saved as plain data.")


def name_type(value: Any) -> str:
    """Return the full name of the type of `value`."""
    return f"{type(value).__module__}.{type(value).__qualname__}"
