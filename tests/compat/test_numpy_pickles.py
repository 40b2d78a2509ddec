"""Pickles of arrays: what is read, and what never runs."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from mmseg_pointrend.compat.checkpoints import CheckpointError, UnsafeCheckpointError
from mmseg_pointrend.compat.numpy_pickles import load_arrays


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_all_protocols(tmp_path: Path, protocol: int) -> None:
    arrays = {
        "plain": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.zeros((0, 4), np.int64),
        "single": np.float64(2.5),
        "big endian": np.arange(3, dtype=">i4"),
    }
    content = OrderedDict(model=arrays, epoch=3, names=["a", ("b",)], author="me")
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    found = load_arrays(path)
    assert list(found) == list(content) and found["names"] == ["a", ("b",)]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found["model"][name], array)


class Call:
    """Pickled as a call."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize(
    "harm",
    [
        Call(os.system, "touch harm"),
        Call(eval, "open('harm', 'w')"),
        Call(getattr, "harm", "upper"),
        Call(np.load, "harm"),
        Call(np.ndarray.tofile, np.zeros(1), "harm"),
        np.array([Call(os.system, "touch harm")], dtype=object),
        np.array([None, {}], dtype=object),
        np.zeros(2, dtype=[("a", "f4"), ("b", "O")]),
        slice(1),
        Path("harm"),
    ],
    ids=lambda harm: type(harm).__name__,
)
@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_anything_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: object, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps(dict(model=dict(a=np.zeros(2), b=harm)), protocol))
    with pytest.raises(UnsafeCheckpointError, match=f"weights {path} are refused: they hold"):
        load_arrays(path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"a": np.zeros(99)})[:-30]])
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="are no pickle of arrays, or only a part of one"):
        load_arrays(path)
    with pytest.raises(FileNotFoundError, match=r"none\.pkl do not exist"):
        load_arrays(tmp_path / "none.pkl")
