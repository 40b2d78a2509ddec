"""Backbones that are as wide as they are said to be, and no deeper than their code paths need."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from mmseg.models.backbones import ResNet


@contextmanager
def shallow_resnets(blocks: int = 2) -> Iterator[None]:
    """Build ResNets, also in forked processes, with so many blocks a stage, or fewer.

    Of two blocks one changes the width and one does not. The last stage keeps its blocks if there
    are several: DeepLab gives each a dilation of its own.
    """
    settings = {
        depth: (
            block,
            (*(min(count, blocks) for count in counts[:-1]), counts[-1] if blocks > 1 else 1),
        )
        for depth, (block, counts) in ResNet.arch_settings.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResNet, "arch_settings", settings)
        yield
