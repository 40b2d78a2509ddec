"""A make-believe GPU: tensors that claim to be CUDA's, and refuse to meet those of the CPU.

Each holds a CPU tensor, and the CPU's operators do the work: what comes out is what the CPU gives.
What a path that runs here shows is that it makes every tensor where the others are. It does not
show what CUDA's own operators round, or cannot do.

Python code is told "cuda:0". Torch's own code is told "meta", a device that it has in every build:
for CUDA's it would ask a driver. So the device is named with its number, as torch's own code does
not know which one "cuda" is, and a tensor that is there already is copied by `to`.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

from tests.accelerator.pretend_autocast import PretendAutocast

DEVICE = torch.device("cuda:0")
_NAMES = ("cuda", "meta")

_aten = torch.ops.aten
#: What brings numbers from one device to the other.
_MOVES = {_aten._to_copy.default, _aten.copy_.default}
#: CUDA takes indices on the CPU.
_INDEXING = {
    _aten.index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
}


class GPUTensor(Tensor):
    """A tensor of the make-believe GPU.

    Attributes:
        held: (...), on the CPU: its numbers.
    """

    held: Tensor
    device = property(lambda self: DEVICE)
    is_cuda, is_meta = True, False

    @staticmethod
    def __new__(cls, held: Tensor) -> "GPUTensor":
        return Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device="meta",
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def new_tensor(self, data: object, dtype: torch.dtype | None = None) -> Tensor:
        """Make a tensor beside this one; torch itself would leave it empty on its meta device."""
        return torch.tensor(data, dtype=dtype or self.dtype, device=DEVICE)

    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(_with_tensors(index))

    def __setitem__(self, index: Any, values: Any) -> None:
        super().__setitem__(_with_tensors(index), values)

    def tolist(self) -> Any:
        """Bring numbers to the host; torch itself refuses that for any subclass."""
        return self.cpu().tolist()

    def __repr__(self) -> str:
        return f"{self.held!r} on {DEVICE}"

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, operator: Any, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return _run(operator, args, kwargs or {})


class PretendGPU(TorchDispatchMode):
    """Let there be a GPU in this block: `torch.zeros(3, device="cuda:0")`, `model.to("cuda:0")`.

    `torch.autocast("cuda", dtype)` casts, too: see `PretendAutocast`.

    Attributes:
        generators: those that belong to the GPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.generators: list[Generator] = []
        self._autocast = PretendAutocast()

    def generator(self, seed: int) -> Generator:
        """Make a source of randomness on the GPU; it gives the numbers of one on the CPU."""
        self.generators.append(Generator().manual_seed(seed))
        return self.generators[-1]

    def __enter__(self) -> "PretendGPU":
        self._patch = pytest.MonkeyPatch()
        for name, answer in (
            ("_lazy_init", None),
            ("is_available", True),
            ("device_count", 1),
            ("current_device", 0),
            ("is_bf16_supported", True),
            ("manual_seed_all", None),
            ("is_current_stream_capturing", False),
            ("mem_get_info", (2**33, 2**33)),  # free and in all, bytes
            ("memory_reserved", 0),
            ("memory_allocated", 0),
        ):
            self._patch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
        # As torch's FakeTensorMode does it, so that the copy in torch.tensor is seen here.
        self._lifted = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        # Of a parameter that is moved torch would replace everything but `held`.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        self._autocast.__enter__()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._autocast.__exit__(kind, error, traceback)
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        torch._C._set_only_lift_cpu_tensors(self._lifted)
        self._patch.undo()

    def __torch_dispatch__(
        self, operator: Any, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        there, generator = _is_there(args, kwargs), kwargs.get("generator")
        if generator is not None and self._owns(generator) != there:
            raise RuntimeError(f"{operator}: the generator is not on the device of the numbers")
        return _run(operator, args, kwargs)

    def _owns(self, generator: Generator) -> bool:
        # Python objects come and go; this is what they stand for.
        return generator._cdata in {own._cdata for own in self.generators}


def _run(operator: Any, args: tuple, kwargs: dict) -> Any:
    """Run an operator on what the tensors hold; what it makes is on the GPU if they are."""
    tensors = [leaf for leaf in _leaves(args, kwargs) if isinstance(leaf, Tensor)]
    there = _is_there(args, kwargs)
    own = [tensor for tensor in tensors if isinstance(tensor, GPUTensor)]
    if not own and not there:
        return operator(*args, **kwargs)
    if own and operator not in _MOVES:
        _refuse_mixture(operator, args, kwargs)
    held = {name: _held(value) for name, value in kwargs.items()}
    if there and held.get("device") is not None:
        held["device"] = "cpu"
    found = operator(*map(_held, args), **held)
    if there:
        found = _on_gpu(found)
    found = return_and_correct_aliasing(operator, args, kwargs, found)
    for tensor in own:
        assert tensor.shape == tensor.held.shape, f"{operator} resizes, which is not pretended"
        assert tensor.dtype == tensor.held.dtype, f"{operator} is given a tensor with other data"
    return found


def _refuse_mixture(operator: Any, args: tuple, kwargs: dict) -> None:
    """Raise RuntimeError where CUDA would: tensors of both devices in one operator."""
    if operator in _INDEXING and isinstance(args[0], GPUTensor):
        args = (args[0], *args[2:])
    lenient = operator in _INDEXING or torch.Tag.pointwise in operator.tags
    for tensor in _leaves(args, kwargs):
        if not isinstance(tensor, Tensor) or isinstance(tensor, GPUTensor):
            continue
        assert not tensor.is_meta, f"{operator} is given a tensor without numbers"
        # Single numbers may stay on the CPU in arithmetic.
        if tensor.dim() or not lenient:
            raise RuntimeError(
                f"{operator}: expected all tensors to be on the same device, but found {DEVICE} "
                f"and cpu, {tuple(tensor.shape)}"
            )


def _is_there(args: tuple, kwargs: dict) -> bool:
    """Whether what an operator makes is on the GPU: as it is told, or as its inputs are."""
    device = kwargs.get("device")
    if device is None:
        return any(isinstance(leaf, GPUTensor) for leaf in _leaves(args, kwargs))
    return torch.device(device).type in _NAMES


# ---- operators are given tensors, and lists of them ----------------------------------------------


def _leaves(args: tuple, kwargs: dict) -> Iterator[Any]:
    for value in (*args, *kwargs.values()):
        if isinstance(value, list | tuple):
            yield from value
        else:
            yield value


def _held(value: Any) -> Any:
    if isinstance(value, GPUTensor):
        return value.held
    return type(value)(map(_held, value)) if isinstance(value, list | tuple) else value


def _on_gpu(found: Any) -> Any:
    if isinstance(found, Tensor):
        return GPUTensor(found)
    return type(found)(map(_on_gpu, found)) if isinstance(found, list | tuple) else found


def _with_tensors(index: Any) -> Any:
    """Write lists in an index as tensors: torch leaves them empty beside its meta device's."""
    if isinstance(index, tuple):
        return tuple(map(_with_tensors, index))
    return torch.tensor(index) if isinstance(index, list) else index
