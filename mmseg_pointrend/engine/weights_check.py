"""Whether a checkpoint's weights are those of a model."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

#: What predictions do without.
_TRAINING_ONLY = "auxiliary_head."


class Fit(NamedTuple):
    """How the weights of a checkpoint fit a model.

    Attributes:
        total: number of the model's parameters and buffers.
        missing: those that the checkpoint does not have.
        mismatched: those that it has with another shape.
        unused: what else the checkpoint has.
    """

    total: int
    missing: list[str]
    mismatched: list[str]
    unused: list[str]

    @property
    def unset(self) -> list[str]:
        """The model's parameters and buffers that keep their initial values."""
        return [*self.missing, *self.mismatched]

    def for_prediction(self) -> "Fit":
        """Leave out what only training needs."""
        names = (
            [name for name in part if not name.startswith(_TRAINING_ONLY)]
            for part in (self.missing, self.mismatched)
        )
        return self._replace(**dict(zip(("missing", "mismatched"), names, strict=True)))


def unwrap(model: nn.Module) -> nn.Module:
    """Take the segmentor out of what distributes it, or augments its tests."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def weights_of(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """Take the weights out of a checkpoint, by the names that a model has for them."""
    found = checkpoint.get("state_dict", checkpoint)
    return {re.sub(r"^module\.", "", name): value for name, value in found.items()}


def fit_weights(model: nn.Module, weights: dict[str, Tensor]) -> Fit:
    """Load weights into a model as far as they fit, and tell how far that is.

    Args:
        model: its parameters and buffers are set; also in a wrapper.
        weights: names and values; names that the model's modules map are mapped.
    """
    model = unwrap(model)
    missing: list[str] = []
    unused: list[str] = []
    errors: list[str] = []

    def load(module: nn.Module, part: dict[str, Tensor], prefix: str) -> None:
        module._load_from_state_dict(part, prefix, {}, True, missing, unused, errors)
        for name, child in module.named_children():
            start = f"{prefix}{name}."
            inner = {key: value for key, value in part.items() if key.startswith(start)}
            load(child, inner, start)

    load(model, dict(weights), "")
    # Old BatchNorms do not count batches, and need not.
    needed = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    return Fit(
        total=len(needed),
        missing=[name for name in missing if name in needed],
        mismatched=re.findall(
            r"(?:size mismatch for|parameter named) \W?([\w.]+)", " ".join(errors)
        ),
        unused=unused,
    )


def load_weights(model: nn.Module, path: str | Path, allow_unset: bool = False) -> None:
    """Load a checkpoint into a model that is to predict.

    Args:
        model: its parameters and buffers are set.
        path: checkpoint, a file or an address.
        allow_unset: go on although weights of the model keep their initial values.

    Raises:
        ValueError: for weights that are not finite or of another model, or a damaged checkpoint.
    """
    checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location="cpu")
    weights = weights_of(checkpoint)
    check_weights(path, weights)
    fit = fit_weights(model, weights).for_prediction()
    if not allow_unset:
        check_fit(path, fit)


def check_fit(name: object, fit: Fit) -> None:
    """Raise ValueError if a checkpoint, called by its name, leaves weights of a model unset."""
    if fit.unset:
        raise ValueError(f"checkpoint {name} {explain_unset(fit)}")


def explain_unset(fit: Fit) -> str:
    """Say how many weights are left unset, which, and what the checkpoint looks like."""
    return (
        f"leaves {len(fit.unset)} of {fit.total} weights of the model unset "
        f"({_first(fit.unset)}): {_guess(fit)}; with allow_unset they stay at their initial values"
    )


def describe_fit(fit: Fit) -> str:
    """Say in one line what a checkpoint has set and what not."""
    text = f"{fit.total - len(fit.unset)} of {fit.total} loaded"
    if fit.unset:
        text += f"; at their initial values: {_first(fit.unset)}"
    return text + (f"; not used: {_first(fit.unused)}" if fit.unused else "")


def find_not_finite(weights: dict[str, Tensor]) -> str | None:
    """Find the first weight that holds NaN or infinity; None if none does."""
    for name, value in weights.items():
        if isinstance(value, Tensor) and value.is_floating_point() and not value.isfinite().all():
            return name
    return None


def _guess(fit: Fit) -> str:
    unset = fit.unset
    if len(fit.missing) == fit.total:
        return f"no name fits; its own begin with {_first(fit.unused)}"
    if fit.mismatched:
        return (
            f"{_first(fit.mismatched)} have another shape, as with another number of classes or "
            "another backbone"
        )
    if all("point_head" in name for name in unset):
        return "it looks like a coarse model without a point head"
    if all(name.startswith("decode_head.") for name in unset):
        return "it looks like a model with another decode head"
    if all(name.startswith("backbone.") for name in unset):
        return "it looks like a model with another backbone"
    return f"it looks like another model; unused: {_first(fit.unused)}"


def _first(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def check_weights(name: object, weights: dict[str, Any]) -> None:
    """Raise ValueError unless weights are tensors without NaN and infinity.

    Args:
        name: of the checkpoint, for the message.
        weights: names and values.
    """
    wrong = next((key for key, value in weights.items() if not torch.is_tensor(value)), None)
    if wrong is not None or not weights:
        found = f"{wrong} is a {type(weights[wrong]).__name__}" if weights else "it is empty"
        raise ValueError(f"checkpoint {name} is not one of names and tensors: {found}")
    broken = find_not_finite(weights)
    if broken is not None:
        raise ValueError(
            f"checkpoint {name}: {broken} holds NaN or infinity: the training that wrote it had "
            "diverged; take an earlier checkpoint"
        )
