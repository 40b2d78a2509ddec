"""A readable answer when mmcv is missing or of the wrong version.

Upstream: mmsegmentation 1.2.2. It asserts `2.0.0rc4 <= mmcv < 2.2.0` with a message that names
only the lower bound and the compiled distribution, so a newer mmcv, the usual case, is told to
install what it has; a missing mmcv is a bare ModuleNotFoundError.

It can go when mmseg's own error names both bounds and both distributions.
"""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

# mmseg/__init__.py of mmsegmentation 1.2.2: MMCV_MIN (included) and MMCV_MAX (excluded).
MMCV_MIN = "2.0.0rc4"
MMCV_MAX = "2.2.0"

# What `import mmdet` of mmdet 3.3.0 imports, besides what mmsegmentation does.
_FOR_MMDET = ("mmdet", "pycocotools", "shapely", "terminaltables", "tqdm")

_HOW_TO_INSTALL = (
    "`pip install --no-deps mmcv-lite==2.1.0` (nothing to compile, all that PointRend needs) or "
    "an `mmcv==2.1.0` compiled for your torch"
)


def check_mmcv() -> None:
    """Check that an mmcv which mmseg accepts is installed, without importing it.

    The version is read from the package that `import mmcv` finds, because the distributions
    `mmcv` and `mmcv-lite` share that package and the metadata of both may be present.

    Raises:
        ImportError: if mmcv is missing or outside `[MMCV_MIN, MMCV_MAX)`.
    """
    from packaging.version import InvalidVersion, Version

    spec = importlib.util.find_spec("mmcv")
    # A folder named mmcv on the path is a namespace package (no origin), not mmcv.
    if spec is None or spec.origin is None:
        raise ImportError(f"mmcv is not installed. Install {_HOW_TO_INSTALL}.")
    found = _find_version(Path(spec.origin).parent)
    try:
        accepted = found is None or Version(MMCV_MIN) <= Version(found) < Version(MMCV_MAX)
    except InvalidVersion:
        accepted = False
    if not accepted:
        raise ImportError(
            f"mmcv {found} is installed, and mmsegmentation needs mmcv >= {MMCV_MIN}, "
            f"< {MMCV_MAX}. Install {_HOW_TO_INSTALL}."
        )


def check_mmdet() -> None:
    """Check that mmdet and what it imports is installed, without importing it.

    Raises:
        ImportError: if something is missing.
    """
    missing = [name for name in _FOR_MMDET if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"instance segmentation needs {', '.join(missing)}: "
            'pip install "mmseg-pointrend[instance]" (in a clone: make install)'
        )


def _find_version(package: Path) -> str | None:
    """Return the version of the mmcv in `package`, None if nothing states it."""
    version_file = package / "version.py"
    if version_file.is_file():
        stated = re.search(
            r"""^__version__\s*=\s*['"]([^'"]+)""", version_file.read_text("utf-8"), re.MULTILINE
        )
        if stated:
            return stated.group(1)
    for distribution in ("mmcv", "mmcv-lite"):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
