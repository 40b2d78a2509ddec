"""The configs and tools that come with this project, found by name; cheap to import.

A config's name is its file's, without the folder and `.py`: no two have the same. What lies in
`_base_` has no name: it is a part. A tool's name is its file's, with `-` for `_`.
"""

import difflib
import fnmatch
from pathlib import Path

from mmseg_pointrend.compat.own_configs import shipped_folder


def list_configs(pattern: str = "*") -> list[str]:
    """List the names of the configs that come with this project, in alphabetical order.

    Args:
        pattern: with `*` and `?`, as of a shell; "*cityscapes*" for instance.
    """
    return sorted(name for name in _paths() if fnmatch.fnmatchcase(name, pattern))


def shipped_config(name: str) -> Path:
    """Find a config that comes with this project, in a clone or in an installed package.

    Args:
        name: path below `configs/`.

    Raises:
        FileNotFoundError: if there is no such config.
    """
    path = shipped_folder("configs") / name
    if not path.is_file():
        raise FileNotFoundError(f"this project has no config {name}")
    return path


def find_config(config: str | Path) -> Path:
    """Find a config by its path or, if there is no such file, by its name.

    Args:
        config: a path; or the name of a config of this project, with or without `.py`.

    Raises:
        FileNotFoundError: if it is neither, with the names that are most like it.
    """
    if Path(config).is_file():
        return Path(config)
    known = _paths()
    name = str(config).removesuffix(".py")
    if name in known:
        return known[name]
    alike = difflib.get_close_matches(Path(name).name, known, n=2)
    hint = f"; did you mean {' or '.join(alike)}?" if alike else ""
    raise FileNotFoundError(
        f"config {config} does not exist: no file, and no name of a config of this project{hint}"
    )


def list_tools() -> dict[str, Path]:
    """List the tools by their names: those of `tools/` first, then those for analysis."""
    folder = shipped_folder("tools")
    paths = [*sorted(folder.glob("*.py")), *sorted(folder.glob("*/*.py"))]
    return {path.stem.replace("_", "-"): path for path in paths}


def _paths() -> dict[str, Path]:
    """List the configs by their names."""
    folder = shipped_folder("configs")
    paths = (path for path in folder.rglob("*.py") if "_base_" not in path.parts)
    return {path.stem: path for path in paths}
