"""What an operator asks of a device: kernels, waiting, and bytes read and written.

Conventions
-----------
Launch: an operator of torch's dispatcher that computes or copies on the device. Views, and memory
that is merely reserved, are none, nor is an operator without elements to write. Some operators are
several kernels (`topk`, `sort`, `nonzero`): they count as one.

Host sync: what makes the host wait for the device: a number or a copy that is asked for
(`_local_scalar_dense`), a result whose size depends on values (`nonzero`, `unique`, an index that
is a mask, `repeat_interleave` without `output_size`), and copies between host and device that are
not `non_blocking`, in either direction (torch waits for both).

Bytes: an operator reads its arguments once and writes its results once, each in its own size; what
is repeated by a stride of 0 counts once. Exceptions:

- what picks elements (`gather`, an index, interpolation) reads as many as it uses, 4 for each
  bilinear result, at most the whole source;
- what puts elements (`scatter_`, `index_put_`) reads the new values and writes these; not in place,
  it copies the whole before;
- what overwrites (`copy_`, `fill_`, results given as `out`) does not read what was there.

So caches count as perfect, and so does every kernel.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from mmseg_pointrend.lab.counting.pretended_device import Call

_ATEN = torch.ops.aten

#: They change what is known of a tensor, or reserve memory.
_NO_LAUNCH = {
    _ATEN._unsafe_view,
    _ATEN.empty,
    _ATEN.empty_like,
    _ATEN.empty_strided,
    _ATEN.new_empty,
    _ATEN.new_empty_strided,
    _ATEN.resize_,
}
#: How often the host waits in operators that always make it wait. CUDA's `bincount` asks for the
#: smallest and the largest number.
_SYNCS = {
    _ATEN._local_scalar_dense: 1,
    _ATEN.nonzero: 1,
    _ATEN.masked_select: 1,
    _ATEN._unique2: 1,
    _ATEN.unique_dim: 1,
    _ATEN.unique_consecutive: 1,
    _ATEN.equal: 1,
    _ATEN.is_nonzero: 1,
    _ATEN.bincount: 2,
}
#: What picks elements of its first argument, and how many for each element of the result.
_PICKS = {
    _ATEN.gather: 1,
    _ATEN.index: 1,
    _ATEN.index_select: 1,
    _ATEN.take: 1,
    _ATEN.embedding: 1,
    _ATEN.upsample_nearest2d: 1,
    _ATEN.upsample_bilinear2d: 4,
    _ATEN.grid_sampler_2d: 4,
}
#: What puts elements into its first argument: the place of the indices among the arguments.
_PUTS = {
    _ATEN.scatter: 2,
    _ATEN.scatter_: 2,
    _ATEN.scatter_add: 2,
    _ATEN.scatter_add_: 2,
    _ATEN.index_put: 1,
    _ATEN.index_put_: 1,
    _ATEN._index_put_impl_: 1,
    _ATEN.index_add_: 2,
    _ATEN.index_copy_: 2,
    _ATEN.index_fill_: 2,
    _ATEN.put_: 1,
}
#: What does not read the tensor that it changes.
_OVERWRITES = {
    _ATEN.copy_,
    _ATEN.fill_,
    _ATEN.zero_,
    _ATEN.uniform_,
    _ATEN.normal_,
    _ATEN.random_,
    _ATEN.bernoulli_,
}


def is_launch(call: Call) -> bool:
    """Whether the device has something to compute or to copy."""
    schema = call.operator._schema
    aliases = [a.alias_info for a in schema.arguments if a.alias_info is not None]
    is_view = bool(aliases) and not any(alias.is_write for alias in aliases)
    if is_view or call.operator.overloadpacket in _NO_LAUNCH:
        return False
    return not call.results or any(result.numel() for result in call.results)


def count_syncs(call: Call) -> int:
    """How often the host waits for the device."""
    packet = call.operator.overloadpacket
    if _fills_mask(call):
        return 0
    count = _SYNCS.get(packet, 0)
    if (call.from_host or call.to_host) and not count and not _is_non_blocking(call):
        count += 1
    if packet in (_ATEN.index, *_INDEX_PUTS):
        count += sum(_is_mask(index) for index in call.args[1])
    if call.operator is _ATEN.repeat_interleave.Tensor and call.kwargs.get("output_size") is None:
        count += 1
    return count


def count_traffic(call: Call) -> tuple[int, int]:
    """Bytes that are read and written, in the conventions of this module."""
    packet = call.operator.overloadpacket
    if packet in _PICKS:
        return _picked(call, _PICKS[packet])
    if packet in _PUTS and not _fills_mask(call):
        return _put(call, _PUTS[packet])
    arguments = call.operator._schema.arguments
    overwritten = [
        call.kwargs[a.name]
        for a in arguments
        if a.kwarg_only and a.alias_info is not None and a.name in call.kwargs
    ]
    if packet in _OVERWRITES:
        overwritten.append(call.args[0])
    unread = {id(value) for value in _tensors(overwritten)}
    read = _sizes(v for v in _tensors((call.args, call.kwargs)) if id(v) not in unread)
    return read, _sizes(call.results)


def size_of(values: Tensor) -> int:
    """Bytes of a tensor, in which what is repeated by a stride of 0 counts once."""
    sides = zip(values.shape, values.stride(), strict=True)
    elements = math.prod(side for side, stride in sides if stride or not side)
    return elements * values.element_size()


_INDEX_PUTS = (_ATEN.index_put, _ATEN.index_put_, _ATEN._index_put_impl_)


def _picked(call: Call, taps: int) -> tuple[int, int]:
    source, result = call.args[0], call.results[0]
    others = _sizes(v for v in _tensors((call.args, call.kwargs)) if v is not source)
    picked = min(size_of(source), taps * result.numel() * source.element_size())
    return others + picked, size_of(result)


def _put(call: Call, place: int) -> tuple[int, int]:
    target, index = call.args[0], call.args[place]
    others = _sizes(v for v in _tensors((call.args, call.kwargs)) if v is not target)
    put = _count_places(call, target, index) * target.element_size()
    read, written = others, put
    packet = call.operator.overloadpacket
    added = packet in (_ATEN.scatter_add, _ATEN.scatter_add_, _ATEN.index_add_)
    if added or (packet in _INDEX_PUTS and True in call.args[3:4]):
        read += put
    if call.results[0] is not target:
        read, written = read + size_of(target), written + size_of(target)
    return read, written


def _count_places(call: Call, target: Tensor, index: Tensor | Sequence[Tensor | None]) -> int:
    """How many elements of the target an operator puts."""
    if isinstance(index, Tensor):
        if call.operator.overloadpacket in (_ATEN.index_add_, _ATEN.index_copy_, _ATEN.index_fill_):
            return index.numel() * target.numel() // max(1, target.shape[call.args[1]])
        return index.numel()
    masks = [i for i in index if i is not None and _is_mask(i)]
    numbers = [i.shape for i in index if i is not None and not _is_mask(i)]
    numbers += [(int(mask.sum()),) for mask in masks]
    indexed, axis = 1, 0
    for i in index:
        dims = 1 if i is None or not _is_mask(i) else i.dim()
        indexed *= 1 if i is None else math.prod(target.shape[axis : axis + dims])
        axis += dims
    return math.prod(torch.broadcast_shapes(*numbers)) * target.numel() // max(1, indexed)


def _fills_mask(call: Call) -> bool:
    """Whether an `index_put` of masks is a `masked_fill`, for which torch needs no `nonzero`."""
    if call.operator.overloadpacket not in _INDEX_PUTS or call.args[2].numel() != 1:
        return False
    given = [index for index in call.args[1] if index is not None]
    return len(given) == 1 and _is_mask(given[0]) and True not in call.args[3:4]


def _is_mask(index: Any) -> bool:
    return isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)


def _is_non_blocking(call: Call) -> bool:
    return bool(call.kwargs.get("non_blocking")) or (
        call.operator is _ATEN.copy_.default and True in call.args[2:3]
    )


def _tensors(values: Any) -> list[Tensor]:
    """List tensors, each once."""
    found = (value for value in tree_flatten(values)[0] if isinstance(value, Tensor))
    return list({id(value): value for value in found}.values())


def _sizes(values: Iterable[Tensor]) -> int:
    return sum(size_of(value) for value in values)
