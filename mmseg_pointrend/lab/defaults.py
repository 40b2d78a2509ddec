"""What a setting is where a config is silent: written in the classes alone."""

import inspect

from mmseg.registry import MODELS

import mmseg_pointrend.models  # noqa: F401 - fills the registry


def default_of(name: str, argument: str) -> object:
    """Look up the default of an argument of a registered class."""
    return inspect.signature(MODELS.get(name)).parameters[argument].default
