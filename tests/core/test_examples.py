"""The examples in the docstrings of core: they run, and no public function is without one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest
import torch

from mmseg_pointrend import core

MODULES = [module.name for module in pkgutil.walk_packages(core.__path__, f"{core.__name__}.")]
#: Records, interfaces, types of functions and numbers, which others make or implement.
NOT_CALLED = {
    "MARGINS", "THRESHOLD", "TRAINING_STRATEGIES", "Bias", "BoundedMargin", "LogitBand", "Margin",
    "PredictPoints", "Sampler", "Step", "SubdivisionStep", "WAYS", "Warp", "Window", "logit_margin",
    "probability_margin",
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str) -> None:
    module = importlib.import_module(name)
    torch.manual_seed(0)
    names = {public: getattr(core, public) for public in core.__all__}
    result = doctest.testmod(module, extraglobs=names | dict(torch=torch))
    assert result.failed == 0


@pytest.mark.parametrize("name", sorted(set(core.__all__) - NOT_CALLED))
def test_every_public_function_has_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(getattr(core, name)) or "")
