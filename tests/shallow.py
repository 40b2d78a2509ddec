"""Backbones that are as wide as they are said to be, and no deeper than their code paths need."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from mmseg.models.backbones import ResNet


@contextmanager
def shallow_resnets() -> Iterator[None]:
    """Build ResNets with two blocks a stage, one that changes the width and one that does not.

    The last stage keeps its blocks: DeepLab gives each a dilation of its own.
    """
    settings = {
        depth: (block, (*(min(count, 2) for count in counts[:-1]), counts[-1]))
        for depth, (block, counts) in ResNet.arch_settings.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResNet, "arch_settings", settings)
        yield
