"""How the network of a model that is built runs in prediction.

The network is what is learned: backbone, neck, and the heads' own layers. What is done with their
logits and boxes, rendering included, stays in single precision and is not compiled: half precision
has too few digits for the corners of boxes and for the margins between classes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves, tree_map_only

#: How far folding may move what a network gives, as a share of its largest value.
_TOLERANCE = 1e-4
#: Side of the picture on which that is looked at, pixels.
_SIDE = 128


@dataclass(frozen=True)
class NetworkSettings:
    """How the network runs; by default as it is, in single precision.

    Half precision is float16 on a GPU and bfloat16 on a CPU.

    Attributes:
        amp: by torch's autocast: weights stay in single precision, products and convolutions are
            computed in half precision.
        half: weights and maps are in half precision, at half the memory; for segmentors.
        compile: what is dense, backbone, neck and coarse head, through `torch.compile`.
        fold: a BatchNorm that follows a convolution becomes part of its weights.
        fast: what is fastest where the model runs, see `resolve`.

    Raises:
        ValueError: for `amp` together with `half`, or `fast` with one of those that it chooses.
    """

    amp: bool = False
    half: bool = False
    compile: bool = False
    fold: bool = False
    fast: bool = False

    def __post_init__(self) -> None:
        if self.amp and self.half:
            raise ValueError("amp and half are two ways to compute in half precision: take one")
        chosen = [name for name in ("amp", "half", "fold") if getattr(self, name)]
        if self.fast and chosen:
            raise ValueError(f"fast chooses by itself: leave out {' and '.join(chosen)}")

    def resolve(self, model: nn.Module) -> "NetworkSettings":
        """Replace `fast` by what it means for a model on its device.

        BatchNorms are folded if there are any; products are computed in half precision on a GPU and
        on a CPU that has instructions for bfloat16 (AMX, AVX512_BF16), others would be slower.
        """
        if not self.fast:
            return self
        return NetworkSettings(
            amp=_computes_in_half(next(model.parameters()).device),
            compile=self.compile,
            fold=_count_batch_norms(list(_parts(model))) > 0,
        )

    def describe(self) -> str | None:
        """Name what is asked for; None for nothing."""
        asked = [field.name for field in fields(self) if getattr(self, field.name)]
        return ", ".join(asked) or None


AS_IT_IS = NetworkSettings()


def prepare_network(
    model: nn.Module, settings: NetworkSettings, dtype: torch.dtype | None = None
) -> None:
    """Let a model's network run as it is asked to, from now on.

    Args:
        model: a segmentor or detector, with its weights, on its device and in evaluation mode;
            changed in place.
        settings: how.
        dtype: of half precision; that of `half_dtype` by default.

    Raises:
        ValueError: for `fold` where there is nothing to fold or the network gives something else
            afterwards, or `half` for a detector.
    """
    settings = settings.resolve(model)
    device = next(model.parameters()).device
    dtype = dtype or half_dtype(device)
    if settings.half and not hasattr(model, "decode_head"):
        raise ValueError(
            "half is for segmentors: corners of a detector's boxes need more digits; take amp"
        )
    if settings.fold:
        fold_batch_norms(model)
    if settings.compile:
        compile_network(model)
    if settings.half:
        for part in _parts(model):
            part.to(dtype)
            part.forward = _cast_inputs(part.forward, dtype)
    if settings.amp:
        for part in _parts(model):
            part.forward = torch.autocast(device.type, dtype)(part.forward)
    if settings.amp or settings.half:
        for head in _heads(model):
            head.forward = _cast_outputs(head.forward, torch.float32)


def half_dtype(device: torch.device) -> torch.dtype:
    """Tell what half precision is on a device: bfloat16 on a CPU, which is slow in float16."""
    return torch.bfloat16 if device.type == "cpu" else torch.float16


def _computes_in_half(device: torch.device) -> bool:
    """Tell whether a device has instructions for `half_dtype`."""
    if device.type != "cpu":
        return True
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # of later versions of torch
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def compile_network(model: nn.Module) -> None:
    """Compile what is dense: backbone, neck and coarse head."""
    for part in _dense_parts(model):
        part.forward = torch.compile(part.forward)


@torch.no_grad()
def fold_batch_norms(model: nn.Module) -> None:
    """Make BatchNorms that follow convolutions part of their weights (mmcv's `fuse_conv_bn`).

    mmcv pairs them by the order in which a module names its parts, which need not be the order in
    which it calls them: so what the network gives of a random picture is compared.

    Args:
        model: see `prepare_network`.

    Raises:
        ValueError: if there is none, or outputs move by more than 1e-4 of the largest.
    """
    parts = list(_parts(model))
    count = _count_batch_norms(parts)
    before = _outputs(model)
    for part in parts:
        fuse_conv_bn(part)
    if _count_batch_norms(parts) == count:
        raise ValueError("fold: no BatchNorm of the model follows a convolution; leave fold out")
    for one, other in zip(before, _outputs(model), strict=True):
        moved = float((other - one).abs().max() / one.abs().max().clamp(min=1e-12))
        if not moved <= _TOLERANCE:
            raise ValueError(
                f"fold changes what the network gives by {moved:.1e} of the largest value, more "
                f"than {_TOLERANCE}: its BatchNorms are not called after the convolutions that "
                "they are named after; leave fold out"
            )


def _outputs(model: nn.Module) -> list[Tensor]:
    """Feature maps, and of a segmentor the logits, of a random picture."""
    preprocessor = model.data_preprocessor
    channels = preprocessor.mean.numel() if hasattr(preprocessor, "mean") else 3
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, channels, _SIDE, _SIDE, generator=generator)
    maps = model.extract_feat(images.to(next(model.parameters()).device))
    found = [list(maps)]
    if hasattr(model, "decode_head"):
        found.append(_coarse_head(model)(maps))
    return [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]


def _count_batch_norms(parts: list[nn.Module]) -> int:
    return sum(isinstance(module, _BatchNorm) for part in parts for module in part.modules())


# ---- the parts of a network ----------------------------------------------------------------------


def _parts(model: nn.Module) -> Iterator[nn.Module]:
    """List the modules whose `forward` is the network."""
    yield from _extractors(model)
    yield from _heads(model)


def _dense_parts(model: nn.Module) -> Iterator[nn.Module]:
    """List what computes whole maps: backbone, neck, and the coarse head or that of proposals."""
    yield from _extractors(model)
    if hasattr(model, "decode_head"):
        yield _coarse_head(model)
    yield from _listed(getattr(model, "rpn_head", None))


def _extractors(model: nn.Module) -> Iterator[nn.Module]:
    yield model.backbone
    yield from _listed(getattr(model, "neck", None))


def _heads(model: nn.Module) -> Iterator[nn.Module]:
    """List the modules that give logits and boxes."""
    roi_head: Any = getattr(model, "roi_head", None)
    for owner, name in (
        (model, "decode_head"),
        (model, "rpn_head"),
        (roi_head, "bbox_head"),
        (roi_head, "mask_head"),
    ):
        for head in _listed(getattr(owner, name, None)):
            yield from _heads_of(head)


def _coarse_head(model: nn.Module) -> nn.Module:
    """Find the head that predicts whole maps; of a model without PointRend it is the only one."""
    return _heads_of(model.decode_head)[0]


def _heads_of(head: nn.Module) -> list[nn.Module]:
    """List the heads of one that has a coarse and a point head, or of a list of such two."""
    if isinstance(head, nn.ModuleList):
        return list(head)
    own = (getattr(head, name, None) for name in ("coarse_head", "point_head"))
    return [part for part in own if part is not None] or [head]


def _listed(module: nn.Module | None) -> list[nn.Module]:
    if module is None:
        return []
    return list(module) if isinstance(module, nn.ModuleList) else [module]


def _cast_inputs(forward: Callable, dtype: torch.dtype) -> Callable:
    """Let a function be given floating-point tensors of one type."""

    def run(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _cast((args, kwargs), dtype)
        return forward(*args, **kwargs)

    return run


def _cast_outputs(forward: Callable, dtype: torch.dtype) -> Callable:
    """Let a function give floating-point tensors of one type."""
    return lambda *args, **kwargs: _cast(forward(*args, **kwargs), dtype)


def _cast(tree: Any, dtype: torch.dtype) -> Any:
    return tree_map_only(
        Tensor, lambda found: found.to(dtype) if found.is_floating_point() else found, tree
    )


@HOOKS.register_module()
class NetworkHook(Hook):
    """Let the network run as it is asked to in a test, see `NetworkSettings`."""

    # After those that look at the weights as they were loaded.
    priority = "LOW"

    def __init__(self, **settings: bool) -> None:
        self.settings = NetworkSettings(**settings)

    def before_test(self, runner: Runner) -> None:
        """Prepare the model, inside of what distributes it or augments its tests."""
        model = runner.model
        while hasattr(model, "module"):
            model = model.module
        prepare_network(model.eval(), self.settings)
