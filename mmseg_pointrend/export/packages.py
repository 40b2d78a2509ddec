"""Packages that exporting needs and the rest of this project does not."""

import importlib
from types import ModuleType


def require(*names: str) -> tuple[ModuleType, ...]:
    """Import packages.

    Raises:
        ImportError: naming those that are missing and the command that installs them.
    """
    found, missing = [], []
    for name in names:
        try:
            found.append(importlib.import_module(name))
        except ImportError:
            missing.append(name)
    if missing:
        raise ImportError(
            f"exporting to ONNX needs {', '.join(missing)}: "
            'pip install "mmseg-pointrend[export]" (in a clone: make install)'
        )
    return tuple(found)
