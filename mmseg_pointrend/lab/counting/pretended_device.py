"""A device that is not there: what is asked of it is computed by the CPU, and watched.

Code chooses its way by the device of its tensors, so what a GPU would be asked to do can be seen
only by tensors that do not claim to be the CPU's. These claim torch's meta device, for which torch
has neither memory nor kernels nor settings of its own; inside each is a tensor of the CPU, with
values, so that code whose work depends on values can be followed.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

#: What pretended tensors claim to be on: `tensor.to(DEVICE)` within a `PretendedDevice`.
DEVICE = torch.device("meta")

#: Operators that take tensors of both sides, as CUDA's do: copies, and indices of the CPU.
_MIXING = (
    torch.ops.aten._to_copy,
    torch.ops.aten.copy_,
    torch.ops.aten.index,
    torch.ops.aten.index_put_,
    torch.ops.aten.index_put,
    torch.ops.aten._index_put_impl_,
)


class Call(NamedTuple):
    """An operator that the device was asked for.

    Attributes:
        operator: an overload of torch's dispatcher.
        args: its arguments, with the tensors of the CPU in the place of pretended ones.
        kwargs: likewise.
        results: tensors that came out, likewise.
        from_host: whether a tensor of the CPU has to be brought to the device.
        to_host: whether a result is brought back.
    """

    operator: Any
    args: tuple
    kwargs: dict
    results: list[Tensor]
    from_host: bool
    to_host: bool


class PretendedTensor(torch.Tensor):
    """A tensor that claims to be on `DEVICE`.

    Args:
        held: the tensor of the CPU that has its values.
    """

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "PretendedTensor":
        """Make what looks like `held`, but for the device."""
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, operator: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Compute without being watched."""
        return _compute(operator, args, kwargs or {})[0]


class PretendedDevice(TorchDispatchMode):
    """While it is entered, tensors can be on `DEVICE`; `saw` is told of every operator there.

    Raises:
        RuntimeError: as CUDA does, where tensors of both sides meet in an operator.
    """

    def __init__(self) -> None:
        super().__init__()
        self._constants = _Constants()

    def __enter__(self) -> "PretendedDevice":
        """Begin."""
        self._constants.__enter__()
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        """End; tensors of the device can still be used, but nobody sees it."""
        super().__exit__(*raised)
        self._constants.__exit__(*raised)

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Compute, and tell."""
        found, call = _compute(operator, args, kwargs or {})
        if call is not None:
            self.saw(call)
        return found

    def saw(self, call: Call) -> None:
        """Be told of an operator; nothing is done here."""


class _Constants(TorchFunctionMode):
    """Makes tensors from numbers on the CPU and copies them, as CUDA does.

    For the meta device torch would make them without values, and tell nobody.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in (torch.tensor, torch.as_tensor) and _asks_for_device(kwargs):
            return function(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)
        if not args or not isinstance(args[0], PretendedTensor):
            return function(*args, **kwargs)
        own, *others = args
        if function is torch.Tensor.new_tensor:
            return torch.tensor(*others, **{"dtype": own.dtype, **kwargs}).to(DEVICE)
        if function is torch.Tensor.tolist:
            return own.cpu().tolist()
        if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            others[0] = _index_on_cpu(others[0])
        if function is torch.Tensor.__setitem__ and not isinstance(others[1], Tensor):
            others[1] = torch.tensor(others[1], dtype=own.dtype)
        return function(own, *others, **kwargs)


def _index_on_cpu(index: Any) -> Any:
    """Make tensors of the lists of numbers in an index."""
    if isinstance(index, tuple):
        return tuple(map(_index_on_cpu, index))
    return torch.as_tensor(index) if isinstance(index, list | range | np.ndarray) else index


def _compute(operator: Any, args: tuple, kwargs: dict) -> tuple[Any, Call | None]:
    """Run an operator on the CPU; what it gives, and a record if the device was asked for it."""
    values, structure = tree_flatten((args, kwargs))
    pretended = {id(v.held): v for v in values if isinstance(v, PretendedTensor)}
    host = [v for v in values if isinstance(v, Tensor) and not isinstance(v, PretendedTensor)]
    here = _makes_here(operator, args, kwargs, bool(pretended))
    if not here and not pretended:
        return operator(*args, **kwargs), None
    mixing = operator.overloadpacket in _MIXING
    if pretended and not mixing and any(v.dim() for v in host):
        raise RuntimeError(f"{operator} was given tensors of a device and of the CPU")
    held = [v.held if isinstance(v, PretendedTensor) else v for v in values]
    held_args, held_kwargs = tree_unflatten(held, structure)
    if held_kwargs.get("device") is not None:
        held_kwargs["device"] = torch.device("cpu")
    found = operator(*held_args, **held_kwargs)

    def wrap(value: Any) -> Any:
        # What was changed in place is what was given.
        given = pretended.get(id(value))
        return PretendedTensor(value) if given is None else given

    results = [value for value in tree_flatten(found)[0] if isinstance(value, Tensor)]
    # Without a dimension, a number of the CPU goes to the device with the operator's arguments.
    from_host = here and bool(host) and (mixing or any(v.dim() for v in host))
    to_host = not here or operator is torch.ops.aten._local_scalar_dense.default
    call = Call(operator, held_args, held_kwargs, results, from_host, to_host)
    return tree_map_only(Tensor, wrap, found) if here else found, call


def _makes_here(operator: Any, args: tuple, kwargs: dict, given_here: bool) -> bool:
    """Whether what an operator makes is on the device: as it is told, or as its inputs are."""
    if operator is torch.ops.aten.copy_.default:
        return isinstance(args[0], PretendedTensor)
    return given_here if kwargs.get("device") is None else _asks_for_device(kwargs)


def _asks_for_device(kwargs: dict) -> bool:
    device = kwargs.get("device")
    return device is not None and torch.device(device).type == DEVICE.type
