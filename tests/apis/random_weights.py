"""Checkpoints of random weights that several tests predict by."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmseg import registry
from torch import nn

from mmseg_pointrend.apis.configs import prepare_config


def save_weights(path: Path, options: dict, folder: Path) -> tuple[Config, Path]:
    """Write random weights that disagree everywhere; with one channel, half above a threshold."""
    config = prepare_config(path, options=options)
    checkpoint = folder / "weights.pth"
    torch.manual_seed(0)
    config.model.pretrained = None
    model = registry.MODELS.build(config.model)
    for parameter in model.decode_head.parameters():
        nn.init.normal_(parameter, std=0.3)
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    return config, checkpoint
