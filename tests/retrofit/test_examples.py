"""The examples in the docstrings of the retrofit run."""

import doctest
import importlib
import pkgutil

import pytest
import torch

from mmseg_pointrend import core, retrofit

MODULES = [m.name for m in pkgutil.walk_packages(retrofit.__path__, f"{retrofit.__name__}.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str) -> None:
    torch.manual_seed(0)
    names = {one: getattr(room, one) for room in (core, retrofit) for one in room.__all__}
    result = doctest.testmod(importlib.import_module(name), extraglobs=names | dict(torch=torch))
    assert result.attempted
    assert result.failed == 0
