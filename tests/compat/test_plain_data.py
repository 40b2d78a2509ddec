"""Objects to plain data and back; what "plain" means is read off the pickle itself."""

import enum
import io
import pickletools
import zipfile
from collections import Counter, OrderedDict, defaultdict, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from mmseg_pointrend.compat.plain_data import LEAVE_OUT, TAG, make_plain, restore

# All that a plain pickle may name, so that torch 2.1 opens it (its _get_allowed_globals()), with
# any later torch as well.
TORCH_2_1 = {
    "collections OrderedDict",
    "torch Size",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch LongStorage",
    "torch ByteStorage",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
}


def save_and_load(value):
    """Pass `value` through a file that only plain data passes."""
    file = io.BytesIO()
    torch.save(value, file)
    with zipfile.ZipFile(file) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        operations = list(pickletools.genops(archive.read(name)))
    named = {argument for operation, argument, _ in operations if operation.name == "GLOBAL"}
    assert named <= TORCH_2_1
    file.seek(0)
    return torch.load(file, weights_only=True)


def round_trip(value):
    return restore(save_and_load(make_plain(value)))


def assert_same(actual, expected) -> None:
    """Assert equality of values, types, dtypes, shapes and order, through containers."""
    assert type(actual) is type(expected)
    if isinstance(expected, HistoryBuffer):
        assert_same(actual.data, expected.data)
        assert_same(actual.max_length, expected.max_length)
    elif isinstance(expected, np.ndarray):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected, strict=True)
        assert actual.flags.writeable
    elif isinstance(expected, torch.Tensor):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)
    elif isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key in expected:
            assert_same(actual[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    else:
        assert actual == expected or (actual != actual and expected != expected)


ARRAYS = npst.arrays(
    dtype=st.one_of(
        npst.boolean_dtypes(),
        npst.integer_dtypes(),
        npst.unsigned_integer_dtypes(),
        npst.floating_dtypes(),
        npst.complex_number_dtypes(),
        npst.unicode_string_dtypes(),
        npst.datetime64_dtypes(),
    ),
    shape=npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
NUMBERS = st.one_of(st.integers(-(10**30), 10**30), st.floats())
BUFFERS = st.builds(
    lambda pairs: HistoryBuffer([a for a, _ in pairs], [b for _, b in pairs], max_length=100),
    st.lists(st.tuples(st.floats(), st.integers(1, 64)), max_size=5),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.text(),
    st.binary(),
    st.complex_numbers(),
    st.sets(st.integers()),
    st.frozensets(st.text()),
    st.sampled_from([torch.device("cpu"), torch.bfloat16, torch.float64, torch.Size([2, 3])]),
    st.builds(torch.tensor, st.lists(st.floats())),
    ARRAYS,
    BUFFERS,
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text() | st.integers(), inner, max_size=3),
        st.dictionaries(st.text(), inner, max_size=3).map(OrderedDict),
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=150)
@given(TREES)
def test_what_comes_back_is_what_went_in(value):
    assert_same(round_trip(value), value)


@settings(deadline=None, max_examples=50)
@given(TREES)
def test_plain_data_is_plain_already(value):
    plain = make_plain(value)
    assert_same(make_plain(plain), plain)


Pair = namedtuple("Pair", "first second")


class Color(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    "value, plain",
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (Path("a") / "b", str(Path("a") / "b")),
        (Pair(1, 2), (1, 2)),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (ConfigDict(a=dict(b=(1, 2))), {"a": {"b": (1, 2)}}),
        (np.array(["a", None, 1], dtype=object), ["a", None, 1]),
        (np.array([(1, 2.0)], dtype=[("x", int), ("y", float)]), [(1, 2.0)]),
        ({np.int64(1): np.float32(2)}, {1: 2.0}),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_these_become_pythons_own_types(value, plain):
    assert_same(make_plain(value), plain)
    assert_same(round_trip(value), plain)


def test_what_is_saved_shares_nothing_with_the_live_arrays():
    buffer = HistoryBuffer([1.0], [1])
    live = {"log": buffer, "list": [np.zeros(2)]}
    plain = make_plain(live)
    live["list"][0][:] = 7
    buffer.update(5.0)
    restored = restore(plain)
    assert restored["log"].data[0].tolist() == [1.0]
    assert restored["list"][0].tolist() == [0.0, 0.0]
    assert isinstance(live["log"], HistoryBuffer)


def test_a_restored_history_buffer_works_on():
    buffer = HistoryBuffer([1.0, 2.0, 3.0], [1, 1, 1], max_length=3)
    restored = round_trip(buffer)
    restored.update(6.0)
    assert restored.data[0].tolist() == [2.0, 3.0, 6.0]
    assert restored.mean(2) == 4.5
    assert restored.statistics("max") == 6.0


def test_a_state_dict_keeps_its_version_metadata():
    state = torch.nn.BatchNorm2d(2).state_dict()
    loaded = round_trip(state)
    assert list(loaded) == list(state)
    assert loaded._metadata == state._metadata == OrderedDict({"": {"version": 2}})


def test_tensors_and_parameters_are_not_copied():
    tensor, parameter = torch.ones(3), torch.nn.Parameter(torch.ones(3))
    plain = make_plain([tensor, parameter])
    assert plain[0] is tensor and plain[1] is parameter


@pytest.mark.parametrize("value", [print, object(), {1}.__iter__(), np.datetime64("2020-01-01")])
def test_what_has_no_plain_form_is_named_by_its_path(value):
    with pytest.raises(TypeError, match=r"hub\.runtime\.1\.callback \("):
        make_plain({"runtime": [0, {"callback": value}]}, "hub")


def test_something_that_contains_itself_is_reported_and_not_followed_forever():
    loop: dict = {"a": 1}
    loop["again"] = [loop]
    with pytest.raises(TypeError, match=r"value\.again\.0 \(builtins.dict\)"):
        make_plain(loop)
    shared = [1]
    assert make_plain([shared, shared]) == [[1], [1]]


def test_a_handler_decides_what_is_saved_instead():
    asked = []

    def leave_out(path, value):
        asked.append(path)
        return LEAVE_OUT

    value = {"a": print, "b": [1, print, 2], "c": 3, frozenset([1]): 4, (1, b"x"): 5}
    assert make_plain(value, "v", leave_out) == {"b": [1, None, 2], "c": 3}
    assert asked[:2] == ["v.a", "v.b.1"] and len(asked) == 4
    assert make_plain(print, "v", leave_out) is None
    assert make_plain([print], "v", lambda path, value: "instead") == ["instead"]


def test_a_kind_from_the_future_is_an_error():
    with pytest.raises(ValueError, match="'quaternion'; known are HistoryBuffer"):
        restore({"a": [{TAG: "quaternion", "value": 1}]})


def test_a_tagged_name_cannot_reach_anything_but_a_dtype():
    with pytest.raises(ValueError, match="'load'"):
        restore({TAG: "dtype", "value": "load"})
    with pytest.raises(ValueError):
        restore({TAG: "ndarray", "bytes": torch.zeros(8).byte(), "dtype": "O", "shape": (1,)})
