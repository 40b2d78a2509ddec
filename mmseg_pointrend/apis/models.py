"""A config's model, built and with its weights, ready to predict."""

import os
from pathlib import Path

import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

import mmseg_pointrend.models  # noqa: F401 - fills the registry
from mmseg_pointrend.engine.checkpoint_folder import check_checkpoint
from mmseg_pointrend.engine.pretrained import leave_out_pretrained
from mmseg_pointrend.engine.weights_check import load_weights


def load_model(
    config: Config,
    checkpoint: str | Path,
    device: str | None = None,
    allow_unset: bool = False,
) -> nn.Module:
    """Build a config's model and load its weights, ready to predict.

    Args:
        config: as `prepare_config` gives it.
        checkpoint: weights, opened with `weights_only=True`.
        device: where to put it; by default a GPU if torch sees one, of several processes on a
            machine (LOCAL_RANK) each its own.
        allow_unset: go on although the checkpoint leaves weights of the model at initial values.

    Raises:
        FileNotFoundError: if the checkpoint does not exist.
        ValueError: for a device that is not there, or weights of another model.
    """
    place = _choose_device(device)
    check_checkpoint(checkpoint)
    leave_out_pretrained(config)  # the checkpoint replaces these weights
    model = MODELS.build(config.model)
    load_weights(model, checkpoint, allow_unset)
    return model.to(place).eval()


def _choose_device(name: str | None) -> torch.device:
    if name is None:
        name = _own_gpu() if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device must be cpu, cuda or cuda:<number>, got {name!r}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name}: torch sees {torch.cuda.device_count()} GPUs")
    return device


def _own_gpu() -> str:
    """Choose a GPU for this process: they share those that there are."""
    rank = os.environ.get("LOCAL_RANK", "")
    return f"cuda:{int(rank) % torch.cuda.device_count()}" if rank.isdecimal() else "cuda"
